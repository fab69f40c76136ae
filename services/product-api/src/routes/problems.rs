//! Errors of the catalogue and the cache as RFC 9457 problems.

use std::time::Duration;

use cache::GetError;
use runtime::conditions;
use runtime::problem::Problem;

use crate::catalogue::CatalogueError;

/// The `Retry-After` of a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Maps an error of the catalogue to the problem that the client receives.
pub(super) fn catalogue(error: CatalogueError) -> Problem {
    match error {
        CatalogueError::NotFound(what) => Problem::not_found(format!("There is no such {what}.")),
        CatalogueError::PreconditionFailed(current) => conditions::failed(Some(&current)),
        CatalogueError::UnknownCategory => Problem::invalid_field("category_id", "there is no such category"),
        CatalogueError::NameTaken => Problem::conflict("Another category has that name."),
        CatalogueError::Database(cause) if cause.is_transient() => Problem::unavailable(RETRY_AFTER, cause),
        CatalogueError::Database(cause) => Problem::internal(cause),
        CatalogueError::Internal(cause) => Problem::internal(cause),
    }
}

/// Maps an error of a read through the cache to the problem that the client receives.
pub(super) fn fetch(error: GetError) -> Problem {
    match (&error, error.loader_error::<CatalogueError>()) {
        (_, Some(CatalogueError::Internal(cause))) => Problem::internal(cause),
        (_, Some(CatalogueError::Database(cause))) if !cause.is_transient() => Problem::internal(cause),
        (_, Some(cause)) => Problem::unavailable(RETRY_AFTER, cause),
        (GetError::Panicked, None) => Problem::internal(error),
        (GetError::Overloaded, None) => Problem::overloaded(RETRY_AFTER, error.to_string()),
        (_, None) => Problem::unavailable(RETRY_AFTER, error),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::http::header;

    use super::*;

    #[test]
    fn panic_is_a_500_and_a_load_that_takes_too_long_a_503_with_retry_after() {
        assert_eq!(fetch(GetError::Panicked).error_response().status(), 500);
        for error in [GetError::TimedOut(RETRY_AFTER), GetError::Overloaded, GetError::Aborted] {
            let response = fetch(error).error_response();
            assert_eq!((response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER)), (503, true));
        }
    }
}
