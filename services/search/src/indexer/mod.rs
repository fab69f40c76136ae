//! The only task that changes the index: it takes events from a queue, fetches the affected rows, and commits.
//!
//! ```text
//! queue ─► fetch the current rows ─► invalidate what they outdate in Redis ─► change, commit ─► publish the snapshot
//! ```
//!
//! A row that is fetched later is newer, and is at least as new as its event ([`products_after`]). The task works
//! sequentially, so the last write is the newest, and the task does not need to compare versions. It removes a row that
//! no longer exists. It invalidates before the commit: if the process dies in between, the next process invalidates again.
//!
//! `reindex.rs` indexes the whole catalogue page by page: the first time, and whenever events were missed.

mod batch;
mod changed_tags;
#[cfg(test)]
mod reach_tests;
mod reindex;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::product_api::{ProductApi, ProductApiError};
use metrics::{counter, histogram};
use outbox::log::{EventLog, LogError, LogPosition};
use outbox::{EventWork, in_traces};
use service::events::{PRODUCT_EVENTS, ProductEvent};
use service::products_after::{ReadError, categories_after, products_after};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::index::{Commit, IndexSnapshot, Row, Store, StoreError};
use crate::invalidator::Invalidator;
use crate::state::IndexStatus;
use batch::Batch;

/// No further batch joins a commit that has this many events.
const AT_ONCE: usize = 2_000;

/// The pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A task for the indexer.
pub enum Work {
    /// Index the rows that these events affect.
    Index(Vec<ProductEvent>),
    /// Compare the index with the whole catalogue, and return the position from which the consumer continues.
    Reindex(oneshot::Sender<LogPosition>),
    /// Advance the position to this number without a change.
    Pass(u64),
}

/// The task that changes the index.
pub struct Indexer {
    api: ProductApi,
    log: EventLog,
    store: Arc<Mutex<Store>>,
    invalidator: Invalidator,
    state: Arc<IndexStatus>,
    /// The record of the last commit.
    commit: Commit,
    /// The number of reindexes in this process. It becomes the lineage of the next snapshot.
    reindexes: u64,
    commit_every: Duration,
}

/// Why a change of the index failed. The indexer retries it.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Catalogue(#[from] ProductApiError),
    #[error(transparent)]
    Products(#[from] ReadError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the index cannot be used: {0}")]
    Search(#[from] tantivy::TantivyError),
    #[error("the indexer: {0}")]
    Panic(#[from] JoinError),
}

impl Indexer {
    /// Creates an indexer for `store`, whose last commit was `commit`, if there was one.
    pub fn new(
        api: ProductApi, log: EventLog, store: Store, commit: Option<Commit>, invalidator: Invalidator,
        state: Arc<IndexStatus>, commit_every: Duration,
    ) -> Self {
        let store = Arc::new(Mutex::new(store));
        Self { api, log, store, invalidator, state, commit: commit.unwrap_or_default(), reindexes: 0, commit_every }
    }

    /// Works through the queue until `stop`. After the next start, the consumer reads the remaining events again.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Work>, stop: CancellationToken) {
        let working = async {
            let mut committed = Instant::now();
            let mut put_off = None;
            loop {
                let Some(mut work) = (match put_off.take() {
                    Some(work) => Some(work),
                    None => queue.recv().await,
                }) else {
                    return;
                };
                if let Work::Index(events) = &mut work {
                    // Events that arrive within this interval share a commit.
                    sleep_until(committed + self.commit_every).await;
                    while events.len() < AT_ONCE {
                        match queue.try_recv() {
                            Ok(Work::Index(more)) => events.extend(more),
                            Ok(other) => {
                                put_off = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                }
                match work {
                    Work::Index(events) => {
                        let traces = events.iter().map(|event| event.traceparent);
                        in_traces(EventWork::Continue("index"), PRODUCT_EVENTS.stream, traces, self.index(&events))
                            .await
                    }
                    // The receiver is gone when the consumer has been stopped.
                    Work::Reindex(done) => drop(done.send(self.reindex().await)),
                    Work::Pass(number) => self.skip_dead_letters(number).await,
                }
                committed = Instant::now();
            }
        };
        tokio::select! {
            () = working => {}
            () = stop.cancelled() => {}
        }
    }

    /// Commits the position `number`, and retries until that succeeds.
    async fn skip_dead_letters(&mut self, number: u64) {
        let mut pause = PAUSE;
        while number > self.commit.position {
            let commit = Commit { position: number, ..self.commit.clone() };
            if let Err(trouble) = self.change(commit, |_| Ok(())).await {
                self.failed(&trouble, &mut pause).await;
            }
        }
    }

    /// Indexes the rows that `events` affect, and retries until that succeeds.
    async fn index(&mut self, events: &[ProductEvent]) {
        let fresh = events.iter().filter(|event| event.seq > self.commit.position);
        let fresh: Vec<ProductEvent> = fresh.cloned().collect();
        let Some(last) = fresh.last().map(|event| LogPosition { seq: event.seq, epoch: event.epoch }) else { return };
        let mut pause = PAUSE;
        while let Err(trouble) = self.try_index(&fresh, last).await {
            self.failed(&trouble, &mut pause).await;
        }
        counter!("search_events_indexed_total").increment(fresh.len() as u64);
    }

    async fn try_index(&mut self, events: &[ProductEvent], last: LogPosition) -> Result<(), Trouble> {
        let mut batch = Batch::new(events);
        batch.before = self.rows(batch.products()).await?;
        let products = products_after(events, &batch.to_be_fetched(), &self.api, &self.log).await?;
        batch.now = products.into_iter().map(|product| (product.id, product)).collect();
        batch.names_before = self.commit.categories.clone();
        batch.names_now = self.commit.categories.clone();
        batch.names_now.extend(batch.now.values().map(|product| (product.category.id, product.category.name.clone())));
        if batch.has_categories() {
            let categories = categories_after(events, &self.api, &self.log).await?;
            batch.names_now.extend(categories.into_iter().map(|category| (category.id, category.name)));
        }
        let (batch, tags) = batch.with_tags().await?;
        self.invalidator.invalidate(last.seq, tags).await;

        let epoch = last.epoch.or(self.commit.epoch);
        let pending_invalidation = self.state.pending_invalidation().is_some();
        let commit = Commit { position: last.seq, epoch, pending_invalidation, categories: batch.names_now.clone() };
        self.change(commit, move |store| {
            store.delete(batch.gone());
            store.put(batch.now.values())
        })
        .await
    }

    async fn rows(&self, ids: Vec<i64>) -> Result<BTreeMap<i64, Row>, Trouble> {
        let Some(snapshot) = self.state.snapshot() else { return Ok(BTreeMap::new()) };
        let found = spawn_blocking(move || {
            let mut rows = BTreeMap::new();
            for id in ids {
                rows.extend(snapshot.product(id)?.map(|row| (id, row)));
            }
            Ok::<_, tantivy::TantivyError>(rows)
        });
        Ok(found.await??)
    }

    /// Changes the store, commits atomically and publishes the snapshot.
    async fn change(
        &mut self, commit: Commit, change: impl FnOnce(&mut Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), Trouble> {
        let began = Instant::now();
        let (next, mut snapshot): (Commit, IndexSnapshot) = self
            .with_store(move |store| {
                change(store)?;
                let snapshot = store.commit(&commit)?;
                Ok((commit, snapshot))
            })
            .await?;
        self.commit = next;
        snapshot.lineage = self.reindexes;
        self.state.publish(snapshot);
        histogram!("search_commit_seconds").record(began.elapsed());
        Ok(())
    }

    /// Runs blocking work on the store. When it fails, the store is rolled back to its last commit.
    async fn with_store<T: Send + 'static>(
        &self, work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let store = Arc::clone(&self.store);
        let done = spawn_blocking(move || {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut store);
            if done.is_err() {
                store.rollback()?;
            }
            done
        });
        Ok(done.await??)
    }

    async fn failed(&self, trouble: &Trouble, pause: &mut Duration) {
        counter!("search_index_failures_total").increment(1);
        if *pause == PAUSE {
            warn!(%trouble, "the index cannot be changed; the change is retried");
        }
        sleep(*pause).await;
        *pause = (*pause * 2).min(LONGEST_PAUSE);
    }
}
