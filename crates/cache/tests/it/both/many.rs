//! Several entries read at once: one call of the loader, and a result for each entry.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache::error::{GetError, LoadError};
use cache::outcome::{Fill, FillRefusal};
use cache::{Cache, CacheClient, EarlyRefresh, Invalidation, NewEntry, Outcome};
use testkit::eventually;
use tokio::sync::Semaphore;

use crate::support::{DatabaseError, LONG, SOON, node, node_with_one_permit, patient, shelf, two_nodes};

/// A table of texts, and the calls that it has answered.
#[derive(Clone, Default)]
pub(crate) struct Table {
    rows: Arc<Mutex<HashMap<u32, String>>>,
    calls: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Table {
    pub(crate) fn of(ids: impl IntoIterator<Item = u32>) -> Self {
        let table = Self::default();
        table.rows.lock().unwrap().extend(ids.into_iter().map(|id| (id, format!("text {id}"))));
        table
    }

    async fn select(self, ids: Vec<u32>) -> Result<HashMap<u32, NewEntry<String>>, DatabaseError> {
        self.calls.lock().unwrap().push(ids.clone());
        let rows = self.rows.lock().unwrap();
        let found = ids.into_iter().filter_map(|id| Some((id, rows.get(&id)?)));
        Ok(found.map(|(id, text)| (id, NewEntry::value(text).tag(shelf(id % 10)))).collect())
    }

    pub(crate) fn change(&self, id: u32, text: &str) {
        self.rows.lock().unwrap().insert(id, text.to_owned());
    }

    /// The ids of each call so far, in order.
    pub(crate) fn taken_calls(&self) -> Vec<Vec<u32>> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.iter_mut().for_each(|ids| ids.sort_unstable());
        calls
    }

    pub(crate) async fn read(&self, texts: &Cache<String>, ids: &[u32]) -> Vec<Option<String>> {
        let table = self.clone();
        let load = move |ids| table.clone().select(ids);
        let found = texts.get_or_load_many(ids.iter().copied(), load).await;
        found.into_iter().map(Result::unwrap).collect()
    }

    /// Reads these rows past the cache, and asserts that the outcomes give the reason.
    pub(crate) async fn read_uncached(&self, texts: &Cache<String>, ids: &[u32]) -> Vec<Option<String>> {
        let table = self.clone();
        let load = move |ids| table.clone().select(ids);
        let read = texts.load_many_uncached(ids.iter().copied(), "why", load).await;
        let value = |one: Result<cache::Cached<String>, LoadError>| {
            let one = one.unwrap();
            assert_eq!(one.outcome().detail(), Some("why"));
            one.value().unwrap()
        };
        read.into_iter().map(value).collect()
    }
}

/// Returns the texts that a table of [`Table::of`] has for these ids.
pub(crate) fn originals(ids: &[u32]) -> Vec<Option<String>> {
    ids.iter().map(|id| Some(format!("text {id}"))).collect()
}

pub(crate) fn texts(client: &CacheClient) -> Cache<String> {
    client.cache("text", patient()).unwrap()
}

/// Reads texts, some of which are in the cache, and removes some of them.
pub(crate) async fn only_missing_texts_are_loaded(client: &CacheClient) {
    let (texts, table) = (texts(client), Table::of(0..50));
    assert_eq!(table.read(&texts, &[3, 1]).await, [Some("text 3".to_owned()), Some("text 1".to_owned())]);
    assert_eq!(table.taken_calls(), [[1, 3]]);
    // Two hits, one that does not exist, one id twice, and three to load.
    let ids = [40, 3, 99, 7, 40, 1, 0];
    let expected = ids.map(|id| (id < 50).then(|| format!("text {id}")));
    assert_eq!(table.read(&texts, &ids).await, expected);
    assert_eq!(table.taken_calls(), [[0, 7, 40, 99]]);
    assert_eq!(table.read(&texts, &ids).await, expected);
    assert_eq!(table.taken_calls(), Vec::<Vec<u32>>::new(), "also what does not exist is in the cache");
    assert_eq!(table.read(&texts, &[]).await, Vec::<Option<String>>::new());
    // Each entry has its own tags, and a key that an invalidation of several removes.
    assert_eq!(client.invalidate_tag(shelf(3)).await.acknowledged(), Ok(1));
    assert_eq!(texts.invalidate_many([1, 7, 1_000]).await.acknowledged(), Ok(2));
    table.read(&texts, &ids).await;
    assert_eq!(table.taken_calls(), [[1, 3, 7]]);
}

#[tokio::test]
async fn missing_entries_are_loaded_by_one_call_and_returned_in_order() {
    let (_redis, node) = node().await;
    only_missing_texts_are_loaded(&node.client).await;
}

/// Sixty-four lookups are one command.
#[tokio::test]
async fn batches_around_the_size_of_a_command_are_complete_and_in_order() {
    let (_redis, node) = node().await;
    let (texts, table) = (texts(&node.client), Table::of(0..200));
    for count in [1, 63, 64, 65, 128, 129, 200] {
        // Neither in the order in which they were stored, nor without repetitions.
        let ids: Vec<u32> = (0..count).map(|number| (number * 7 + count) % 190).collect();
        for _ in 0..2 {
            assert_eq!(table.read(&texts, &ids).await, originals(&ids), "{count} entries");
        }
    }
}

#[tokio::test]
async fn one_entry_may_fail_while_the_others_are_returned() {
    let (_redis, node) = node().await;
    // A map whose keys are not strings has no JSON.
    let maps: Cache<HashMap<(u8, u8), u8>> = node.client.cache("map", patient()).unwrap();
    let load = |ids: Vec<u32>| async move {
        let map = |id: u32| if id == 2 { HashMap::from([((1, 2), 3)]) } else { HashMap::new() };
        Ok::<_, DatabaseError>(ids.into_iter().map(|id| (id, NewEntry::value(&map(id)))).collect())
    };
    let read = maps.read_many([1, 2, 3], load).await;
    assert!(matches!(read[1], Err(LoadError::Encode(_))), "{:?}", read[1]);
    for one in [&read[0], &read[2]] {
        assert_eq!(one.as_ref().unwrap().outcome(), Outcome::Miss(Fill::Stored));
    }
    let failing = |_: Vec<u32>| async { Err::<HashMap<u32, NewEntry<HashMap<(u8, u8), u8>>>, _>(DatabaseError) };
    let read = maps.read_many([1, 2, 4], failing).await;
    assert!(read[0].is_ok(), "a hit needs no call");
    for one in &read[1..] {
        let error = one.as_ref().unwrap_err();
        assert!(error.loader_error::<DatabaseError>().is_some(), "{error:?}");
    }
    for id in [2, 4] {
        assert!(node.client.inspect(&maps.key(id)).await.unwrap().is_none(), "a lease is left");
    }
}

/// The call has read the old rows when one of them is changed: only that entry is refused.
#[tokio::test]
async fn invalidation_during_the_call_refuses_only_what_it_names() {
    let (_redis, node) = node().await;
    let texts = texts(&node.client);
    let (table, gate) = (Table::of(0..50), Arc::new(Semaphore::new(0)));
    let load = {
        let (table, gate) = (table.clone(), Arc::clone(&gate));
        move |ids| {
            let (table, gate) = (table.clone(), Arc::clone(&gate));
            async move {
                let read = table.select(ids).await;
                gate.acquire().await.unwrap().forget();
                read
            }
        }
    };
    let reading = {
        let texts = texts.clone();
        tokio::spawn(async move { texts.read_many([1, 2, 13], load).await })
    };
    eventually("the call", SOON, async || !table.calls.lock().unwrap().is_empty()).await;
    node.invalidate(Invalidation::hard().key(texts.key(1)).tag(shelf(3))).await;
    gate.add_permits(1);
    let outcomes: Vec<_> = reading.await.unwrap().into_iter().map(|one| one.unwrap().outcome()).collect();
    let refused = |why| Outcome::Miss(Fill::Refused(why));
    assert_eq!(outcomes, [refused(FillRefusal::LeaseLost), Outcome::Miss(Fill::Stored), refused(FillRefusal::Fenced)]);
}

/// Two batches need the same entries in another order: neither waits for the other, and each entry is loaded once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_overlap_share_loads_and_do_not_wait_for_each_other() {
    let (_redis, node, peer, _row) = two_nodes([]).await;
    let (texts, other) = (texts(&node.client), texts(&peer.client));
    for round in 0..20 {
        let ids: Vec<u32> = (round * 20..round * 20 + 20).collect();
        let backwards: Vec<u32> = ids.iter().rev().copied().collect();
        let table = Table::of(ids.clone());
        let all = tokio::join!(
            table.read(&texts, &ids),
            table.read(&texts, &backwards),
            table.read(&other, &ids),
            table.read(&other, &backwards),
        );
        for read in [all.0, all.1, all.2, all.3] {
            assert!(read.iter().all(Option::is_some), "{read:?}");
        }
        let mut loaded: Vec<u32> = table.taken_calls().concat();
        loaded.sort_unstable();
        assert_eq!(loaded, ids, "each is loaded by one of the four");
    }
}

#[tokio::test]
async fn entries_of_a_batch_that_cannot_be_decoded_are_loaded_again() {
    let (_redis, node) = node().await;
    let numbers: Cache<u64> = node.client.cache("text", patient()).unwrap();
    Table::of(0..3).read(&texts(&node.client), &[0, 1, 2]).await;
    let load = |ids: Vec<u32>| async move {
        Ok::<_, DatabaseError>(ids.into_iter().map(|id| (id, NewEntry::value(&u64::from(id)))).collect())
    };
    for _ in 0..2 {
        let read = numbers.get_or_load_many([0, 1, 2], load).await;
        let values: Result<Vec<_>, GetError> = read.into_iter().collect();
        assert_eq!(values.unwrap(), [Some(0), Some(1), Some(2)]);
    }
}

#[tokio::test]
async fn batch_past_the_cache_is_one_call_that_finds_and_stores_nothing_there() {
    let (_redis, node) = node().await;
    let (texts, table) = (texts(&node.client), Table::of([5, 7]));
    table.read(&texts, &[5]).await;
    table.change(5, "new");
    table.taken_calls();
    let read = table.read_uncached(&texts, &[5, 6, 7]).await;
    assert_eq!(read, [Some("new".to_owned()), None, Some("text 7".to_owned())]);
    assert_eq!(table.taken_calls(), [[5, 6, 7]]);
    assert_eq!(texts.get(5).await.unwrap().value().unwrap().as_deref(), Some("text 5"));
    assert!(texts.get(6).await.is_none() && texts.get(7).await.is_none());
}

/// A stale entry is returned at once, and refreshed by a call of its own.
#[tokio::test]
async fn stale_entries_of_a_batch_are_refreshed_in_the_background() {
    let (_redis, node) = node().await;
    let policy = patient().soft_ttl(Duration::from_secs(50));
    let texts: Cache<String> = node.client.cache("soft", policy).unwrap();
    let table = Table::of(0..10);
    table.read(&texts, &[1, 2]).await;
    table.change(1, "new");
    node.invalidate(Invalidation::soft().key(texts.key(1))).await;
    table.taken_calls();
    let read = table.read(&texts, &[1, 2, 3]).await;
    assert_eq!(read[0].as_deref(), Some("text 1"));
    eventually("the refresh", SOON, async || {
        texts.get(1).await.is_some_and(|cached| cached.value().unwrap().as_deref() == Some("new"))
    })
    .await;
    let mut loaded = table.taken_calls().concat();
    loaded.sort_unstable();
    assert_eq!(loaded, [1, 3]);
}

/// An early refresh does not delay the batch either, and loads one entry.
#[tokio::test]
async fn fresh_entries_of_a_batch_are_refreshed_early() {
    let (_redis, node) = node().await;
    let policy = patient().early_refresh(EarlyRefresh::Share(0.999_999));
    let texts: Cache<String> = node.client.cache("early", policy).unwrap();
    let table = Table::of(0..10);
    table.read(&texts, &[1]).await;
    table.change(1, "new");
    tokio::time::sleep(LONG / 10_000).await;
    table.taken_calls();
    assert_eq!(table.read(&texts, &[1]).await[0].as_deref(), Some("text 1"));
    eventually("the refresh", SOON, async || {
        texts.get(1).await.is_some_and(|cached| cached.value().unwrap().as_deref() == Some("new"))
    })
    .await;
    assert_eq!(table.taken_calls(), [[1]]);
}

/// A loader that panics, or takes too long, is not called again by the other entries of its batch.
#[tokio::test]
async fn failed_call_of_a_loader_is_the_only_one() {
    let (_redis, node) = node().await;
    let limit = Duration::from_millis(300);
    for panics in [true, false] {
        // A load that panics has time, because on a busy machine its batch may be complete only after the limit.
        let policy = if panics { patient() } else { patient().load_timeout(limit) };
        let texts: Cache<String> = node.client.cache("text", policy).unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let load = move |_: Vec<u32>| {
            counted.fetch_add(1, SeqCst);
            async move {
                assert!(!panics, "as the test wants");
                std::future::pending::<Result<HashMap<u32, NewEntry<String>>, DatabaseError>>().await
            }
        };
        for result in texts.get_or_load_many(0..200, load).await {
            match result.unwrap_err() {
                GetError::Load(LoadError::Panicked) => assert!(panics),
                GetError::Load(LoadError::TimedOut(after)) => assert!(!panics && after == limit),
                other => panic!("{other}"),
            }
        }
        assert_eq!(calls.load(SeqCst), 1, "panics: {panics}");
    }
}

/// There is one permit. The batch shares it, and gives it up while its loader reads another entry.
#[tokio::test]
async fn loader_of_a_batch_may_read_another_entry() {
    let (_redis, node) = node_with_one_permit(LONG).await;
    let (texts, table) = (texts(&node.client), Table::of(0..3));
    let authors: Cache<String> = node.client.cache("author", patient()).unwrap();
    let load = move |ids: Vec<u32>| {
        let (authors, table) = (authors.clone(), table.clone());
        async move {
            let author = authors.get_or_load(1, async || Ok::<_, DatabaseError>(Some("A".to_owned()))).await;
            assert_eq!(author.unwrap().as_deref(), Some("A"));
            table.select(ids).await
        }
    };
    let read = tokio::time::timeout(SOON, texts.get_or_load_many([0, 1, 2], load));
    let read: Vec<_> = read.await.expect("the loader waits for a permit").into_iter().map(Result::unwrap).collect();
    assert_eq!(read, originals(&[0, 1, 2]));
}

/// The refresh of a stale entry waits for a load of the same entry.
#[tokio::test]
async fn batch_does_not_wait_for_a_refresh_that_waits_for_another_load() {
    let (_redis, node) = node().await;
    let (texts, table) = (texts(&node.client), Table::of(0..2));
    assert_eq!(table.read(&texts, &[0]).await, originals(&[0]));
    assert!(texts.get(0).await.is_some());
    node.client.invalidate(Invalidation::soft().key(texts.key(0))).await.acknowledged().unwrap();
    let (began, end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (here, gate) = (Arc::clone(&began), Arc::clone(&end));
    let slow = {
        let texts = texts.clone();
        tokio::spawn(async move {
            let load = move || {
                here.add_permits(1);
                let gate = Arc::clone(&gate);
                async move {
                    let _ = gate.acquire().await;
                    Ok::<_, DatabaseError>(NewEntry::<String>::raw("\"slow\""))
                }
            };
            texts.load_uncached(0, "why", load).await.unwrap()
        })
    };
    let _ = began.acquire().await.unwrap();
    let read = tokio::time::timeout(SOON, table.read(&texts, &[0, 1])).await.expect("the batch waits");
    assert_eq!(read, originals(&[0, 1]));
    end.add_permits(1);
    slow.await.unwrap();
}
