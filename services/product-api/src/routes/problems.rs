//! Errors of the catalogue and the cache as RFC 9457 problems.

use cache::error::LoadError;
use service::caching::precondition_failed;
use service::problem::{Problem, RETRY_AFTER};

use crate::catalogue::CatalogueError;

/// Maps an error of the catalogue to the problem that the client receives.
pub(super) fn catalogue(error: CatalogueError) -> Problem {
    match error {
        CatalogueError::NotFound(what) => Problem::not_found(format!("There is no such {what}.")),
        CatalogueError::PreconditionFailed(current) => precondition_failed(Some(&current)),
        CatalogueError::UnknownCategory => Problem::invalid_field("category_id", "there is no such category"),
        CatalogueError::NameTaken => Problem::conflict("Another category has that name."),
        CatalogueError::Database(cause) => Problem::of_database(&cause),
        CatalogueError::Internal(cause) => Problem::internal(cause),
    }
}

/// Maps an error of a read through the cache to the problem that the client receives.
pub(super) fn fetch(error: LoadError) -> Problem {
    Problem::of_read(error, |cause: &CatalogueError| match cause {
        CatalogueError::Database(cause) => Problem::of_database(cause),
        CatalogueError::Internal(cause) => Problem::internal(cause),
        cause => Problem::unavailable(RETRY_AFTER, cause),
    })
}
