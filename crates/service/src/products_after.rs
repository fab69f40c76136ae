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

use crate::events::ProductEvent;

/// The longest wait of one call for the log to reach the events.
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

/// Waits until the log has these events. A log of another epoch may never have them, because its database was restored: then
/// the consumer learns of the other history, and reads everything again.
async fn until_log_has(events: &[ProductEvent], log: &EventLog) -> Result<(), ReadError> {
    let Some(last) = events.iter().max_by_key(|event| event.seq) else { return Ok(()) };
    let began = Instant::now();
    loop {
        let head = log.head(None, LOG_TIMEOUT).await?;
        if head.seq >= last.seq {
            return Ok(());
        }
        if began.elapsed() >= LONGEST_LAG {
            let behind = format!("it ends at event {}, before event {}", head.seq, last.seq);
            return if head.epoch == last.epoch { Err(LogError::Unavailable(behind).into()) } else { Ok(()) };
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
