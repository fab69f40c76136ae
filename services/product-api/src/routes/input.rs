//! What comes in, parsed into small types or refused with a problem.

use std::fmt::Display;
use std::str::FromStr;

use garde::Validate;
use runtime::problem::{FieldError, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::strategies::Strategy;

/// Reads an id from a path.
pub(super) fn id<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::malformed(format!("The path names no id: {error}.")))
}

/// Reads a strategy from a path.
pub(super) fn strategy(name: &str) -> Result<Strategy, Problem> {
    name.parse().map_err(|()| {
        let names = Strategy::ALL.map(Strategy::name).join(", ");
        Problem::not_found(format!("There is no such strategy; there are {names}."))
    })
}

/// Checks a body's fields against their bounds.
pub(super) fn valid<T: Validate<Context = ()>>(input: T) -> Result<T, Problem> {
    match input.validate() {
        Ok(()) => Ok(input),
        Err(report) => Err(Problem::invalid_fields(
            report.iter().map(|(path, error)| FieldError::new(path.to_string(), error.to_string())).collect(),
        )),
    }
}

/// A page of the catalogue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// 1 to 500 products, 50 by default.
    limit: Option<i64>,
    /// As `next_cursor` gave it.
    cursor: Option<String>,
}

impl PageQuery {
    /// The id to start after, and the number of products.
    pub(super) fn checked(&self) -> Result<(i64, i64), Problem> {
        let limit = self.limit.unwrap_or(50);
        if !(1..=500).contains(&limit) {
            return Err(Problem::invalid_field("limit", "must be between 1 and 500"));
        }
        let after = match &self.cursor {
            None => 0,
            Some(cursor) => match cursor.parse() {
                Ok(after) if after >= 0 => after,
                _ => return Err(Problem::invalid_field("cursor", "is not one that a page has returned")),
            },
        };
        Ok((after, limit))
    }
}
