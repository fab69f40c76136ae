//! Products that are read after events about them.
//!
//! A consumer reads the current rows of the products that events name, and marks the events as applied. Behind the product API
//! there may be a standby that lags, and its rows are older than the events: no later event would correct them.

use std::collections::HashMap;
use std::time::Duration;

use contract::ProductChangeKind;
use contract::product_api::{Product, ProductApi, ProductApiError};
use outbox::log::{EventLog, LogError};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::events::ProductEvent;

/// The longest wait for the log to reach the events. A log that is further behind counts as one with another history, which
/// makes a consumer copy the whole catalogue again.
const LONGEST_LAG: Duration = Duration::from_secs(2);

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest time of one question.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the products are not available.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The product API did not respond.
    #[error(transparent)]
    Products(#[from] ProductApiError),
    /// The event log did not respond.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Returns the products with these ids, as they were after `events`; missing ones are omitted.
///
/// If a row is older than its event, or is missing although its last event is no deletion, either the database lags, or the
/// product was deleted in the meantime. In the first case the log, which is in the same database, lags as well. So the rows are
/// read again as soon as the log has the events.
///
/// # Errors
/// Returns an error if the product API or its log does not respond in time, or if the response is invalid.
pub async fn products_after(
    events: &[ProductEvent], ids: &[i64], api: &ProductApi, log: &EventLog,
) -> Result<Vec<Product>, ReadError> {
    let products = api.products(ids).await?;
    let Some(last) = events.iter().map(|event| event.seq).max() else { return Ok(products) };
    if !may_be_older(&products, ids, events) {
        return Ok(products);
    }
    let began = Instant::now();
    loop {
        let head = log.head(None, LOG_TIMEOUT).await?.seq;
        if head < last && began.elapsed() < LONGEST_LAG {
            sleep(PAUSE).await;
            continue;
        }
        if head < last {
            warn!(head, event = last, "the product API and its event log are behind the stream");
        }
        return Ok(api.products(ids).await?);
    }
}

fn may_be_older(products: &[Product], ids: &[i64], events: &[ProductEvent]) -> bool {
    let versions: HashMap<i64, i64> = products.iter().map(|product| (product.id, product.version)).collect();
    let last: HashMap<i64, &ProductEvent> =
        events.iter().filter_map(|event| Some((event.change.product_id?, event))).collect();
    ids.iter().filter_map(|id| Some((id, last.get(id)?))).any(|(id, event)| match versions.get(id) {
        Some(version) => *version < event.change.version,
        None => event.change.kind != ProductChangeKind::ProductDeleted,
    })
}
