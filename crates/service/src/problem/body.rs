//! The extractor of a JSON body, which returns a problem if the body cannot be used.

use std::fmt;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use garde::Validate;
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Number;

use super::{BodyBytes, FieldError, Problem};

/// Extracts a JSON body. It refuses, in this order:
///
/// | status | when |
/// |---|---|
/// | 413 | the body declares more than [`BODY_LIMIT`](super::BODY_LIMIT) bytes (for every route: [`crate::response_middleware`]), or has more |
/// | 415 | it is not declared as JSON in UTF-8, or it is compressed |
/// | 408 | it does not arrive within `HTTP__BODY_TIMEOUT` |
/// | 400 | it is not JSON |
/// | 422 | it is not a `T`: each struct is a JSON object, and no field is `null` |
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared = declared_type(request);
        let body = BodyBytes::from_request(request, payload);
        Box::pin(async move {
            declared?;
            let BodyBytes(body) = body.await?;
            parse(&body).map(Self)
        })
    }
}

impl<T: Validate<Context = ()>> Body<T> {
    /// Returns the value, if its fields are within their bounds.
    ///
    /// # Errors
    /// Returns a problem that names each field that is not.
    pub fn valid(self) -> Result<T, Problem> {
        match self.0.validate() {
            Ok(()) => Ok(self.0),
            Err(report) => Err(Problem::invalid_fields(
                report.iter().map(|(path, error)| FieldError::new(path.to_string(), error.to_string())).collect(),
            )),
        }
    }
}

fn declared_type(request: &HttpRequest) -> Result<(), Problem> {
    let mime = request.mime_type().ok().flatten();
    let is_json = mime
        .as_ref()
        .is_some_and(|mime| mime.subtype() == "json" || mime.suffix().is_some_and(|suffix| suffix == "json"));
    if !is_json {
        return Err(Problem::unsupported_media_type("The Content-Type must be application/json."));
    }
    // RFC 8259, 8.1: JSON is UTF-8, of which ASCII is a subset.
    let charset = mime.as_ref().and_then(|mime| mime.get_param("charset"));
    if charset.is_some_and(|charset| charset != "utf-8" && charset != "us-ascii") {
        return Err(Problem::unsupported_media_type("The charset must be utf-8."));
    }
    let mut encodings = request.headers().get_all(CONTENT_ENCODING);
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::unsupported_media_type(
            "The Content-Encoding must be identity: compressed bodies are not read.",
        ));
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let json: Json = serde_json::from_slice(body)
        .map_err(|error| Problem::malformed(format!("The body is not valid JSON: {error}.")))?;
    serde_path_to_error::deserialize(json).map_err(|error| invalid(&error.path().to_string(), error.inner()))
}

/// Creates the problem of an invalid field. `path` ends at the field, except for a missing one: then serde's message
/// names it. The body as a whole is `$`.
fn invalid(path: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (missing, path) {
        (Some(field), ".") => Problem::invalid_field(field, "is missing"),
        (Some(field), parent) => Problem::invalid_field(format!("{parent}.{field}"), "is missing"),
        (None, ".") => Problem::invalid_field("$", message),
        (None, path) => Problem::invalid_field(path, message),
    }
}

/// A JSON value that is read as the API's description defines it: a struct is an object, `null` is not a value, and `3.0`
/// is an integer.
///
/// The structs that serde derives also accept an array and read it by position, and an `Option` accepts `null`.
enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    /// The members in their order, so that the struct refuses a second one with the same name.
    Object(Vec<(String, Json)>),
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

impl Json {
    fn object<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        let kind = match &self {
            Self::Object(_) => return self.deserialize_any(visitor),
            Self::Null => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (None, Some(number)) => Unexpected::Signed(number),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or_default()),
            },
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
        };
        Err(serde_json::Error::invalid_type(kind, &"a JSON object"))
    }

    /// Returns the value, with an integer for a float such as `3.0`.
    fn with_integer(self) -> Self {
        /// Up to this number (2^53 - 1), a float distinguishes every integer from the next one.
        const EXACT: f64 = 9_007_199_254_740_991.0;
        match &self {
            Self::Number(number) if number.is_f64() => match number.as_f64() {
                Some(float) if float.fract() == 0.0 && float.abs() <= EXACT => Self::Number((float as i64).into()),
                _ => self,
            },
            _ => self,
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.with_integer().deserialize_any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Json {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(number) => number.deserialize_any(visitor),
            Self::Text(text) => visitor.visit_string(text),
            Self::List(items) => {
                let mut items = SeqDeserializer::new(items.into_iter());
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Self::Object(members) => visitor.visit_map(MapDeserializer::new(members.into_iter())),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Null => Err(Self::Error::custom("must not be null; leave the field out instead")),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self, _: &'static str, _: &'static [&'static str], visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.object(visitor)
    }

    /// Also for a variant of an enum that is a struct.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.object(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self, _: &'static str, _: &'static [&'static str], visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self {
            Self::Text(variant) => visitor.visit_enum(variant.into_deserializer()),
            Self::Object(members) if members.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(members.into_iter())))
            }
            _ => Err(Self::Error::custom("must be a text, or an object with one member")),
        }
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, serde_json::Error> for Json {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
