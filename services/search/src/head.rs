//! The number of the newest event of all.

use events::log::LogError;
use events::product_api::ProductApi;

/// A number that no event has: nothing comes after it, so the answer is short, whatever has been pruned.
const BEYOND: u64 = 1 << 62;

/// Asks the product API's log.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn ask(api: &ProductApi) -> Result<u64, LogError> {
    api.events().after(BEYOND).await.map(|page| page.head)
}
