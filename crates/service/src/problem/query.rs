//! The extractor of a query string, which returns a problem that names the invalid parameter.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::Problem;

/// Extracts the query string: 400 with the name of the parameter if it is not a `T`.
///
/// The extractor of actix reports "invalid digit found in string" without the name of the parameter.
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
        "." => Problem::malformed(format!("The query cannot be read: {}.", error.inner())),
        name => Problem::malformed_parameter(name, error.inner().to_string()),
    })
}
