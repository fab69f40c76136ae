//! Products that are read after events about them.
//!
//! A consumer reads the current rows of the products that events name, and marks the events as applied. The product API may read
//! from a standby that lags, and then its rows are older than the events: no later event would correct them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use contract::ProductChangeKind as Kind;
use contract::product_api::{CategoryRef, Product, ProductApi, ProductApiError};
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
/// If a row may be older than its last event, either the database lags, or the product was deleted or created again in the
/// meantime. In the first case the log, which is in the same database, lags as well. So the rows are read again as soon as the
/// log has the events.
///
/// # Errors
/// Returns an error if the product API or its log does not respond in time, or if the response is invalid.
pub async fn products_after(
    events: &[ProductEvent], ids: &[i64], api: &ProductApi, log: &EventLog,
) -> Result<Vec<Product>, ReadError> {
    let products = api.products(ids).await?;
    if !may_be_older(&products, ids, events) {
        return Ok(products);
    }
    until_log_has(events, log).await?;
    Ok(api.products(ids).await?)
}

/// Returns all categories, as they were after `events`. Categories have no version that could be compared.
///
/// # Errors
/// Returns an error if the product API or its log does not respond in time, or if the response is invalid.
pub async fn categories_after(
    events: &[ProductEvent], api: &ProductApi, log: &EventLog,
) -> Result<Vec<CategoryRef>, ReadError> {
    until_log_has(events, log).await?;
    Ok(api.categories().await?)
}

/// Waits until the log has these events, for at most [`LONGEST_LAG`].
async fn until_log_has(events: &[ProductEvent], log: &EventLog) -> Result<(), ReadError> {
    let last = events.iter().map(|event| event.seq).max().unwrap_or_default();
    let began = Instant::now();
    loop {
        let head = log.head(None, LOG_TIMEOUT).await?.seq;
        if head >= last {
            return Ok(());
        }
        if began.elapsed() >= LONGEST_LAG {
            warn!(head, event = last, "the event log of the product API ends before the event");
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

fn may_be_older(products: &[Product], ids: &[i64], events: &[ProductEvent]) -> bool {
    let versions: HashMap<i64, i64> = products.iter().map(|product| (product.id, product.version)).collect();
    let (mut last, mut renewed) = (HashMap::new(), HashSet::new());
    for change in events.iter().map(|event| &event.change) {
        let Some(id) = change.product_id else { continue };
        last.insert(id, change);
        if matches!(change.kind, Kind::ProductCreated | Kind::ProductDeleted) {
            renewed.insert(id);
        }
    }
    ids.iter().filter_map(|id| last.get(id).map(|last| (id, last))).any(|(id, last)| match versions.get(id) {
        None => last.kind != Kind::ProductDeleted,
        Some(_) if last.kind == Kind::ProductDeleted => true,
        // The versions of a row that was created again begin at 1, so an older row may have a higher version.
        Some(version) if renewed.contains(id) => *version != last.version,
        Some(version) => *version < last.version,
    })
}
