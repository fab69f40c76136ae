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
//! The catalogue as a whole is taken in by a walk (`walk.rs`): the first time, and whenever events were missed.

mod touched;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::contract::{ProductChange, ProductChangeKind, ProductEvent};
use events::product_api::{Product, ProductApi, Unavailable};
use metrics::{counter, histogram};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::announce::Announcer;
use crate::index::{Commit, Row, Snapshot, Store, StoreError};
use crate::state::State;
use touched::{Change, Touched};

/// The most events in one commit.
const AT_ONCE: usize = 2_000;

/// Products of a category that are fetched to learn its name.
const SAMPLE: usize = 20;

/// The pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the indexer has to do.
pub enum Work {
    /// Take in what these events are about.
    Index(Vec<ProductEvent>),
    /// Compare the index with the whole catalogue; answers with the position from which events count again.
    Walk(oneshot::Sender<u64>),
    /// Nothing is asked for up to this number.
    Pass(u64),
}

/// Changes the index.
pub struct Indexer {
    api: ProductApi,
    store: Arc<Mutex<Store>>,
    announcer: Announcer,
    state: Arc<State>,
    /// What the last commit was.
    commit: Commit,
    commit_every: Duration,
}

/// Why a change of the index has failed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Catalogue(#[from] Unavailable),
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
        announcer: Announcer,
        state: Arc<State>,
        commit_every: Duration,
    ) -> Self {
        let store = Arc::new(Mutex::new(store));
        Self { api, store, announcer, state, commit: commit.unwrap_or_default(), commit_every }
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
                    Work::Walk(done) => drop(done.send(self.walk().await)),
                    Work::Pass(number) => self.pass(number).await,
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
    async fn pass(&mut self, number: u64) {
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
        let Some(last) = fresh.last().map(|event| event.seq) else { return };
        let mut pause = PAUSE;
        while let Err(trouble) = self.try_index(&fresh, last).await {
            self.failed(&trouble, &mut pause).await;
        }
        counter!("search_events_indexed_total").increment(fresh.len() as u64);
    }

    async fn try_index(&mut self, events: &[ProductEvent], last: u64) -> Result<(), Trouble> {
        let mut by_product: BTreeMap<i64, Vec<ProductChange>> = BTreeMap::new();
        let mut of_categories: Vec<&ProductChange> = Vec::new();
        for event in events {
            match event.change.product_id {
                Some(id) => by_product.entry(id).or_default().push(event.change.clone()),
                None => of_categories.push(&event.change),
            }
        }
        let before = self.rows(by_product.keys().copied().collect(), &of_categories).await?;
        let (known, other): (BTreeSet<i64>, BTreeSet<i64>) =
            by_product.keys().copied().partition(|id| is_indexed(before.rows.get(id), &by_product[id]));
        let ids: Vec<i64> = other.iter().copied().chain(before.samples.iter().copied()).collect();
        let now: BTreeMap<i64, Product> =
            self.api.products(&ids).await?.into_iter().map(|product| (product.id, product)).collect();

        let mut names = self.commit.categories.clone();
        names.extend(now.values().map(|product| (product.category.id, product.category.name.clone())));
        let mut touched = Touched::default();
        for (id, events) in &by_product {
            let row = before.rows.get(id);
            let after = if known.contains(id) { row.cloned() } else { now.get(id).map(Row::from) };
            let change = Change { before: row, after: after.as_ref(), events };
            touched.product(&change, (&self.commit.categories, &names));
        }
        of_categories.into_iter().for_each(|change| touched.category(change));
        self.announcer.touched(last, touched.into_tags()).await;

        let commit = Commit { position: last, owed: self.state.owed().is_some(), categories: names };
        let (products, gone): (Vec<i64>, Vec<i64>) = other.into_iter().partition(|id| now.contains_key(id));
        let products: Vec<Product> = products.iter().filter_map(|id| now.get(id)).cloned().collect();
        self.change(commit, move |store| {
            store.delete(gone);
            store.put(&products)
        })
        .await
    }

    /// The indexed rows of products, and some products of each category.
    async fn rows(&self, ids: BTreeSet<i64>, categories: &[&ProductChange]) -> Result<Before, Trouble> {
        let Some(snapshot) = self.state.snapshot() else { return Ok(Before::default()) };
        let categories: BTreeSet<i64> = categories.iter().map(|change| change.category_id).collect();
        let found = spawn_blocking(move || {
            let mut before = Before::default();
            for id in ids {
                before.rows.extend(snapshot.product(id)?.map(|row| (id, row)));
            }
            for category in categories {
                before.samples.extend(snapshot.some_of(category, SAMPLE)?);
            }
            Ok::<_, tantivy::TantivyError>(before)
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
        let (next, snapshot): (Commit, Snapshot) = self
            .with_store(move |store| {
                change(store)?;
                let snapshot = store.commit(&commit)?;
                Ok((commit, snapshot))
            })
            .await?;
        self.commit = next;
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
            warn!(%trouble, "the index cannot be changed; it is tried again");
        }
        sleep(*pause).await;
        *pause = (*pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the index has what these events are about already: a walk has met it. A row that was deleted may have come
/// again, and its versions with it, so that a deletion is always looked into.
fn is_indexed(row: Option<&Row>, events: &[ProductChange]) -> bool {
    let is_old = |row: &Row, event: &ProductChange| {
        event.kind != ProductChangeKind::ProductDeleted && event.version <= row.version
    };
    row.is_some_and(|row| events.iter().all(|event| is_old(row, event)))
}

/// What the index has before a change.
#[derive(Default)]
struct Before {
    rows: BTreeMap<i64, Row>,
    /// Products of the categories that have changed.
    samples: BTreeSet<i64>,
}
