//! Parsing and validation of the input. Invalid input becomes a problem.

use std::fmt::Display;
use std::str::FromStr;

use garde::Validate;
use service::problem::{FieldError, Problem};

/// Parses an id in a path.
pub(super) fn id<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::malformed(format!("The path names no id: {error}.")))
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
