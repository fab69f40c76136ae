//! A query string that was read, or the problem that names the parameter.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::Problem;

/// Extracts the query string: 400 that names the parameter when it isn't a `T`.
///
/// actix' own extractor says "invalid digit found in string" and not where.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| match error.path().to_string().as_str() {
        "." => Problem::malformed(format!("the query can't be read: {}", error.inner())),
        name => Problem::malformed_parameter(name, error.inner().to_string()),
    })
}
