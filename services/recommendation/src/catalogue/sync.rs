//! Copying of the whole catalogue, page by page: the first time, and when events were missed.
//!
//! The sync reads the number of the newest event *before* the first page. A change that happens while pages are read
//! has a higher number, so its event is applied afterwards. Pages are in the order of ids: a product whose id lies
//! between two products of a page and that is not on the page does not exist, unless a later event has written it.

use std::collections::HashSet;
use std::time::Instant;

use contract::product_api::{Product, ProductApi};
use database::sql;
use diesel::sql_types::{Array, BigInt};
use diesel_async::RunQueryDsl;
use outbox::log::{EventLog, LogError, LogPosition};
use service::events::PRODUCT_EVENTS;
use tracing::{info, warn};

use super::{Catalogue, Changes, write};
use crate::error::RecommendationError;
use crate::maintenance::LOG_TIMEOUT;
use crate::positions::{Positions, signed};
use crate::state::CatalogueStatus;

/// Copies the catalogue into the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatalogueSync {
    /// The source of the catalogue.
    pub api: ProductApi,
    /// The event log of the catalogue.
    pub log: EventLog,
    /// The copy.
    pub catalogue: Catalogue,
    /// Records the position of the copy.
    pub positions: Positions,
    /// Records the progress of the copy and how current it is.
    pub state: CatalogueStatus,
}

/// A complete copy whose position is not recorded yet.
#[derive(Clone, Copy, Debug)]
#[must_use = "without its position, the catalogue is copied again"]
pub struct Filled {
    head: LogPosition,
    is_other: bool,
    began: Instant,
}

impl CatalogueSync {
    /// Copies the whole catalogue. Invalidate the lists that were built from the old copy, and then record its position:
    /// a process that is killed in between must copy, and invalidate, again.
    ///
    /// # Errors
    /// Fails when the product API or the database does not respond. The pages that were written until then stay.
    pub async fn fill(&self) -> Result<Filled, RecommendationError> {
        let began = Instant::now();
        let known = self.positions.of(PRODUCT_EVENTS.stream).await?;
        let (head, is_other) = match self.log.head(known.map(|known| known.newest), LOG_TIMEOUT).await {
            Err(LogError::Diverged(_)) => (self.log.head(None, LOG_TIMEOUT).await?, true),
            head => (head?, false),
        };
        if is_other {
            warn!(head = head.seq, "the catalogue has a different history than its copy; it is copied again");
            self.forget().await?;
        }
        let (mut products, mut after, mut cursor) = (0, 0, None::<String>);
        loop {
            let page = self.api.catalogue(cursor.as_deref()).await?;
            products += page.products.len() as u64;
            let last = match (&page.next_cursor, page.products.last()) {
                (Some(_), Some(product)) => product.id,
                _ => i64::MAX,
            };
            self.page(page.products, (after, last), head.seq).await?;
            self.state.set_copy_progress(products);
            (after, cursor) = (last, page.next_cursor);
            if cursor.is_none() {
                break;
            }
        }
        info!(products, position = head.seq, took = ?began.elapsed(), "the whole catalogue has been copied");
        Ok(Filled { head, is_other, began })
    }

    /// Records the position of a copy. Until then, the position is that of the previous copy, and shows its history.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn record(&self, filled: Filled) -> Result<(), RecommendationError> {
        let Filled { head, is_other, began } = filled;
        match is_other {
            true => self.positions.replace(PRODUCT_EVENTS.stream, head).await?,
            false => self.positions.begin(PRODUCT_EVENTS.stream, head).await?,
        }
        self.state.observe_head(head.seq, head.seq, began);
        self.state.set_copied();
        Ok(())
    }

    /// Writes one page, and marks all other products in its range of ids as deleted, unless a later event has written
    /// them.
    async fn page(
        &self, products: Vec<Product>, (after, last): (i64, i64), head: u64,
    ) -> Result<(), RecommendationError> {
        let ids: Vec<i64> = products.iter().map(|product| product.id).collect();
        let may_be_new_row: HashSet<i64> = ids.iter().copied().collect();
        let live = products.into_iter().map(|product| (product, head)).collect();
        let changes = Changes { live, may_be_new_row, ..Changes::default() };
        self.catalogue
            .pool
            .transaction(async |connection| {
                write(connection, &changes, None).await?;
                sql("UPDATE products SET deleted = true, seq = $4, flipped = $4
                     WHERE id > $1 AND id <= $2 AND id <> ALL($3) AND seq <= $4 AND NOT deleted")
                .bind::<BigInt, _>(after)
                .bind::<BigInt, _>(last)
                .bind::<Array<BigInt>, _>(&ids)
                .bind::<BigInt, _>(signed(head))
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }

    /// Resets the event numbers of all rows, because the numbers of another history are not comparable.
    async fn forget(&self) -> Result<(), RecommendationError> {
        self.catalogue
            .pool
            .transaction(async |connection| {
                sql("UPDATE products SET seq = 0, flipped = 0").execute(connection).await?;
                sql("UPDATE categories SET seq = 0").execute(connection).await?;
                Ok(())
            })
            .await
    }
}
