//! The one task that changes the index: it takes events from a queue, fetches what they are about, and commits.
//!
//! ```text
//! queue ─► fetch the rows as they are now ─► tell Redis what that outdates ─► change, commit ─► publish the snapshot
//! ```
//!
//! What is fetched later is newer, and one task does one thing after another; so what it writes last is the newest, and
//! no version needs to be compared. A row that is not there any more is taken out. Redis is told before the commit: a
//! process that dies in between tells it again.
//!
//! The catalogue as a whole is indexed from page to page (`reindex.rs`): the first time, and whenever events were missed.

mod batch;
#[cfg(test)]
mod reach_tests;
mod reindex;
mod touched;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::contract::ProductEvent;
use events::log::LogPosition;
use events::product_api::{ProductApi, ProductApiError};
use metrics::{counter, histogram};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::index::{Commit, Row, Snapshot, Store, StoreError};
use crate::invalidator::Invalidator;
use crate::state::IndexStatus;
use batch::Batch;

/// The most events in one commit.
const AT_ONCE: usize = 2_000;

/// The pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the indexer has to do.
pub enum Work {
    /// Take in what these events are about.
    Index(Vec<ProductEvent>),
    /// Compare the index with the whole catalogue; answers with the position from which events count again.
    Walk(oneshot::Sender<LogPosition>),
    /// Nothing is asked for up to this number.
    Pass(u64),
}

/// Changes the index.
pub struct Indexer {
    api: ProductApi,
    store: Arc<Mutex<Store>>,
    announcer: Invalidator,
    state: Arc<IndexStatus>,
    /// What the last commit was.
    commit: Commit,
    /// How many walks this process has made.
    walks: u64,
    commit_every: Duration,
}

/// Why a change of the index has failed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Catalogue(#[from] ProductApiError),
    #[error(transparent)]
    Log(#[from] events::log::LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the index: {0}")]
    Search(#[from] tantivy::TantivyError),
    #[error("the indexer: {0}")]
    Panic(#[from] JoinError),
}

impl Indexer {
    /// Changes `store`, which was left at `commit`, if it was ever committed.
    pub fn new(
        api: ProductApi,
        store: Store,
        commit: Option<Commit>,
        announcer: Invalidator,
        state: Arc<IndexStatus>,
        commit_every: Duration,
    ) -> Self {
        let store = Arc::new(Mutex::new(store));
        Self { api, store, announcer, state, commit: commit.unwrap_or_default(), walks: 0, commit_every }
    }

    /// Works until it is told to stop; what is in the queue then is read again after the next start.
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
                    // Under load: what comes within this time shares a commit.
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
                    Work::Index(events) => self.index(&events).await,
                    // Nobody waits when the consumer has been stopped.
                    Work::Walk(done) => drop(done.send(self.reindex().await)),
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

    /// Stores that the index is at `number`, however often that has to be tried.
    async fn skip_dead_letters(&mut self, number: u64) {
        let mut pause = PAUSE;
        while number > self.commit.position {
            let commit = Commit { position: number, ..self.commit.clone() };
            if let Err(trouble) = self.change(commit, |_| Ok(())).await {
                self.failed(&trouble, &mut pause).await;
            }
        }
    }

    /// Takes in what `events` are about, however often that has to be tried.
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
        let products = self.api.products(&batch.to_be_fetched()).await?;
        batch.now = products.into_iter().map(|product| (product.id, product)).collect();
        batch.names_before = self.commit.categories.clone();
        batch.names_now = self.commit.categories.clone();
        batch.names_now.extend(batch.now.values().map(|product| (product.category.id, product.category.name.clone())));
        if batch.has_categories() {
            let categories = self.api.categories().await?;
            batch.names_now.extend(categories.into_iter().map(|category| (category.id, category.name)));
        }
        let (batch, tags) = batch.with_tags().await?;
        self.announcer.touched(last.seq, tags).await;

        let epoch = last.epoch.or(self.commit.epoch);
        let owed = self.state.owed().is_some();
        let commit = Commit { position: last.seq, epoch, owed, categories: batch.names_now.clone() };
        self.change(commit, move |store| {
            store.delete(batch.gone());
            store.put(batch.now.values())
        })
        .await
    }

    /// The indexed rows of products.
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

    /// Changes the store and commits; all of it or nothing.
    async fn change(
        &mut self,
        commit: Commit,
        change: impl FnOnce(&mut Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), Trouble> {
        let began = Instant::now();
        let (next, mut snapshot): (Commit, Snapshot) = self
            .with_store(move |store| {
                change(store)?;
                let snapshot = store.commit(&commit)?;
                Ok((commit, snapshot))
            })
            .await?;
        self.commit = next;
        snapshot.lineage = self.walks;
        self.state.publish(snapshot);
        histogram!("search_commit_seconds").record(began.elapsed());
        Ok(())
    }

    /// Does something that blocks; when it fails, the store is as at its last commit.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
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
