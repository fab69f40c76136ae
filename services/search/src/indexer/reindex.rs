//! Reindexing of the whole catalogue, page by page: it builds the index, and corrects it after events were missed.
//!
//! The reindex reads the number of the newest event *before* the first page. A change that happens while pages are read
//! has a higher number, so its event is applied afterwards. The reindex skips a product whose fingerprint equals the
//! indexed one. It does not compare versions, because a version may repeat where a row was deleted and inserted again.
//! It removes products that no page contains. The index stays unchanged until the single commit at the end.

use std::collections::HashMap;

use contract::product_api::{Product, ProductPage};
use outbox::log::LogPosition;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, Instant};
use tracing::info;

use super::{Indexer, PAUSE, Trouble};
use crate::index::{Categories, Commit, Row, Store, StoreError};

/// How long the event log may take to return the number of the newest event.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval of the log messages about progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Indexes the products whose fingerprint differs from the known one, and removes all of them from `known`.
fn put_changed(
    store: &mut Store, products: &[Product], mut known: HashMap<i64, u64>,
) -> Result<(HashMap<i64, u64>, usize), StoreError> {
    let mut is_other = |product: &&Product| match known.remove(&product.id) {
        None => true,
        Some(indexed) => Row::from(*product).fingerprint().ok() != Some(indexed),
    };
    let changed: Vec<&Product> = products.iter().filter(&mut is_other).collect();
    store.put(changed.iter().copied())?;
    Ok((known, changed.len()))
}

impl Indexer {
    /// Compares the index with the catalogue, and retries until that succeeds. Returns the new position.
    pub async fn reindex(&mut self) -> LogPosition {
        self.state.set_reindexing(true);
        let mut pause = PAUSE;
        while let Err(trouble) = self.try_reindex().await {
            self.failed(&trouble, &mut pause).await;
        }
        self.state.set_reindexing(false);
        self.commit.log_position()
    }

    async fn try_reindex(&mut self) -> Result<(), Trouble> {
        let (asked, began) = (std::time::Instant::now(), Instant::now());
        let (mut logged, mut read, mut changed) = (began, 0, 0);
        let head = self.log.head(None, HEAD_TIMEOUT).await?;
        let mut known = self.known().await?;
        let mut names = Categories::new();
        let mut cursor: Option<String> = None;
        // An earlier attempt may have left uncommitted changes.
        self.with_store(|store| store.rollback()).await?;
        if self.state.snapshot().is_none() {
            self.with_store(|store| store.clear()).await?;
        }
        loop {
            let page = self.page(cursor.as_deref()).await;
            read = self.state.reindexed(page.products.len() as u64).max(read);
            names.extend(page.products.iter().map(|product| (product.category.id, product.category.name.clone())));
            let products = page.products;
            let put;
            (known, put) = self.with_store(move |store| put_changed(store, &products, known)).await?;
            changed += put;
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
            if logged.elapsed() > PROGRESS_INTERVAL {
                logged = Instant::now();
                info!(products = read, "the index is being built");
            }
        }
        let gone: Vec<i64> = known.into_keys().collect();
        changed += gone.len();
        // Another replica may have stored pages from versions that this replica has never read.
        self.invalidator.invalidate_all(head.seq).await;
        // Pages from the previous index may belong to another history, with any position.
        self.reindexes += 1;
        let pending_invalidation = self.state.pending_invalidation().is_some();
        let commit = Commit { position: head.seq, epoch: head.epoch, pending_invalidation, categories: names };
        self.change(commit, move |store| {
            store.delete(gone);
            Ok(())
        })
        .await?;
        self.state.observe_head(head.seq, asked);
        info!(products = read, changed, position = head.seq, took = ?began.elapsed(), "the index has the whole catalogue");
        Ok(())
    }

    /// Returns the fingerprint of each indexed product.
    async fn known(&self) -> Result<HashMap<i64, u64>, Trouble> {
        let Some(snapshot) = self.state.snapshot() else { return Ok(HashMap::new()) };
        Ok(spawn_blocking(move || snapshot.fingerprints()).await??)
    }

    /// Reads one page, and retries until that succeeds, so that an outage of the product API does not restart the
    /// reindex.
    async fn page(&self, cursor: Option<&str>) -> ProductPage {
        let mut pause = PAUSE;
        loop {
            match self.api.catalogue(cursor).await {
                Ok(page) => return page,
                Err(error) => self.failed(&error.into(), &mut pause).await,
            }
        }
    }
}
