//! The errors of other crates as problems.

use std::error::Error;
use std::time::Duration;

use cache::error::LoadError;
use contract::InvalidId;
use database::ErrorClass;

use super::Problem;

/// The `Retry-After` of a 503.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Problem {
    /// Returns the problem of a read through the cache. `of_loader` maps an error of the loader.
    pub fn of_read<E: Error + 'static>(error: LoadError, of_loader: impl FnOnce(&E) -> Self) -> Self {
        match (&error, error.loader_error()) {
            (_, Some(cause)) => of_loader(cause),
            (_, None) if error.is_bug() => Self::internal(error),
            (LoadError::Overloaded, None) => Self::overloaded(RETRY_AFTER, error.to_string()),
            (_, None) => Self::unavailable(RETRY_AFTER, error),
        }
    }

    /// Returns the problem of a statement that failed: 503 if a later attempt may succeed, and otherwise 500. If the operator
    /// has added a rule, it is 422 for a value that the database does not allow, and 409 for one that contradicts other rows.
    pub fn of_database(error: &database::Error) -> Self {
        let rule = || error.constraint().map(|name| format!(" (`{name}`)")).unwrap_or_default();
        match error.class() {
            ErrorClass::ValueRefused => {
                Self::invalid(format!("The database does not allow one of the values{}.", rule()))
            }
            ErrorClass::UniqueViolation => Self::conflict(format!("Another row has this value{}.", rule())),
            ErrorClass::ForeignKeyViolation => {
                Self::conflict(format!("A row of another table requires it to be otherwise{}.", rule()))
            }
            _ if error.is_transient() => Self::unavailable(RETRY_AFTER, error),
            _ => Self::internal(error),
        }
    }
}

/// For an id in a path.
impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::malformed(format!("The path names no id: {error}."))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::http::header;

    use super::*;

    #[test]
    fn panic_is_a_500_and_a_load_that_takes_too_long_a_503_with_retry_after() {
        let response =
            |error| Problem::of_read(error, |error: &std::fmt::Error| Problem::internal(error)).error_response();
        assert_eq!(response(LoadError::Panicked).status(), 500);
        for error in [LoadError::TimedOut(RETRY_AFTER), LoadError::Overloaded, LoadError::Aborted] {
            let response = response(error);
            assert_eq!((response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER)), (503, true));
        }
    }
}
