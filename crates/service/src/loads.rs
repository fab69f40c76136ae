//! Loads of cached entries from the service's own database.

use cache::NewEntry;
use database::Pool;

/// Runs `load`, which reads from the database of `pool`. What a standby may have answered is not stored: it may be older
/// than the last invalidation of the entry, which no later one would repeat.
///
/// # Errors
/// Returns the error of `load`.
pub async fn from_database<T, E>(
    pool: &Pool, load: impl Future<Output = Result<NewEntry<T>, E>>,
) -> Result<NewEntry<T>, E> {
    let (loaded, may_lag) = pool.may_lag(load).await;
    loaded.map(|entry| if may_lag { entry.do_not_store() } else { entry })
}
