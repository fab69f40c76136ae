//! Values over time: a type that changes while old and new processes run, codecs, compression and limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache::codec::{CodecError, Decode, Encode, Json, MessagePack, Postcard};
use cache::error::{GetError, LoadError};
use cache::inspect::{EntryInfo, EntryState};
use cache::outcome::Fill;
use cache::{Cache, CacheClient, Invalidation, Key, NewEntry, Outcome, Policy, Values};
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::support::{DatabaseError, LONG, Node, Server, node, patient, two_nodes};

/// The type of an old program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Old {
    version: u64,
    name: String,
}

/// The type of its successor: neither can be decoded as the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct New {
    version: u64,
    title: String,
    stock: u32,
}

pub(crate) trait Versioned: Send + Serialize + DeserializeOwned + 'static {
    fn at(version: u64) -> Self;
    fn version(&self) -> u64;
}

impl Versioned for Old {
    fn at(version: u64) -> Self {
        Self { version, name: "Lamp".to_owned() }
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Versioned for New {
    fn at(version: u64) -> Self {
        Self { version, title: "Lamp".to_owned(), stock: 3 }
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// A program: a client of its own, and its cache of items.
pub(crate) struct Program<T> {
    client: CacheClient,
    pub(crate) items: Cache<T>,
    row: Arc<AtomicU64>,
}

impl<T: Versioned> Program<T> {
    fn on(node: &Node, policy: Policy, schema: u32, row: &Arc<AtomicU64>) -> Self {
        let items = node.client.cache_with("item", policy, Values::new().schema(schema)).unwrap();
        Self { client: node.client.clone(), items, row: Arc::clone(row) }
    }

    /// Reads the item, and returns its version.
    pub(crate) async fn read(&self) -> Result<u64, GetError> {
        let row = Arc::clone(&self.row);
        let load = move || {
            let version = row.load(SeqCst);
            async move { Ok::<_, DatabaseError>(T::at(version)) }
        };
        Ok(self.items.get_or_load(1, load).await?.unwrap().version())
    }

    /// Changes the row, and returns its version once it is acknowledged.
    pub(crate) async fn write(&self) -> u64 {
        let version = self.row.fetch_add(1, SeqCst) + 1;
        self.client.invalidate(Invalidation::hard().key(self.items.key(1))).await.acknowledged().unwrap();
        version
    }
}

/// Returns an old and a new program, which read and write one row.
pub(crate) fn programs(nodes: [&Node; 2], policy: &Policy, schemas: [u32; 2]) -> (Program<Old>, Program<New>) {
    let row = Arc::new(AtomicU64::new(1));
    let old = Program::on(nodes[0], policy.clone(), schemas[0], &row);
    let new = Program::on(nodes[1], policy.clone(), schemas[1], &row);
    (old, new)
}

async fn two_programs(schemas: [u32; 2]) -> (Server, Program<Old>, Program<New>) {
    let (server, node, peer, _row) = two_nodes([]).await;
    let (old, new) = programs([&node, &peer], &patient(), schemas);
    (server, old, new)
}

/// Returns what the store holds under a key.
async fn held(client: &CacheClient, key: Key) -> Option<EntryInfo> {
    client.inspect(&key).await.unwrap()
}

#[tokio::test]
async fn programs_with_different_schemas_replace_each_others_entries() {
    let (_redis, old, new) = two_programs([0, 1]).await;
    for _ in 0..3 {
        let version = old.write().await;
        assert_eq!([old.read().await.unwrap(), new.read().await.unwrap()], [version; 2]);
        assert!(old.items.get(1).await.is_none(), "an entry of another schema is none");
        assert_eq!(new.items.get(1).await.unwrap().outcome(), Outcome::Hit);
        // Each removes what the other has stored.
        let version = new.write().await;
        assert_eq!([new.read().await.unwrap(), old.read().await.unwrap()], [version; 2]);
    }
}

/// Reads until the writer is done; no read fails or is older than what was acknowledged before it.
async fn keep_reading<T: Versioned>(program: &Program<T>, acknowledged: &AtomicU64, writing: &AtomicBool) -> u64 {
    let mut reads = 0;
    while writing.load(SeqCst) {
        let floor = acknowledged.load(SeqCst);
        let version = program.read().await.unwrap();
        assert!(version >= floor, "version {version} after {floor} was acknowledged");
        reads += 1;
        // A hit from memory waits for nothing.
        tokio::task::yield_now().await;
    }
    reads
}

/// A rolling deployment: both programs read and write one item.
pub(crate) async fn deploy(old: &Program<Old>, new: &Program<New>) {
    let (acknowledged, writing) = (AtomicU64::new(1), AtomicBool::new(true));
    let writer = async {
        for step in 0..100 {
            let version = if step % 2 == 0 { old.write().await } else { new.write().await };
            acknowledged.fetch_max(version, SeqCst);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        writing.store(false, SeqCst);
    };
    let by_old = join_all((0..4).map(|_| keep_reading(old, &acknowledged, &writing)));
    let by_new = join_all((0..4).map(|_| keep_reading(new, &acknowledged, &writing)));
    let (by_old, by_new, ()) = tokio::join!(by_old, by_new, writer);
    assert!(by_old.into_iter().chain(by_new).all(|reads| reads > 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_deployment_causes_no_error_and_no_stale_read() {
    for schemas in [[0, 1], [0, 0]] {
        let (_redis, old, new) = two_programs(schemas).await;
        deploy(&old, &new).await;
    }
}

/// A program that forgot to change the schema.
#[tokio::test]
async fn entry_that_cannot_be_decoded_is_loaded_again_and_replaced() {
    let (_redis, old, new) = two_programs([0, 0]).await;
    let version = old.write().await;
    assert_eq!(old.read().await.unwrap(), version);
    assert_eq!(new.read().await.unwrap(), version);
    // The entry is that of the new program now, for both.
    assert_eq!(new.items.get(1).await.unwrap().value().unwrap().unwrap(), New::at(version));
    assert!(old.items.get(1).await.unwrap().value().is_err());
    assert_eq!(old.read().await.unwrap(), version);
    assert_eq!(old.items.get(1).await.unwrap().value().unwrap().unwrap(), Old::at(version));
}

#[tokio::test]
async fn entry_that_cannot_be_decoded_is_counted() {
    let (_redis, old, new) = two_programs([0, 0]).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let items: Cache<New> = metrics::with_local_recorder(&recorder, || new.client.cache("item", patient()).unwrap());
    let load = || async { Ok::<_, DatabaseError>(New::at(7)) };
    for expected in 0..3 {
        let counted = recorder.handle().render();
        let count = counted.lines().find(|line| line.starts_with("cache_undecodable_total{"));
        assert_eq!(count.and_then(|line| line.split(' ').next_back()?.parse().ok()), Some(expected), "{counted}");
        old.write().await;
        old.read().await.unwrap();
        items.get_or_load(1, load).await.unwrap();
    }
}

#[tokio::test]
async fn loaded_bytes_that_cannot_be_decoded_are_an_error() {
    let (_redis, node) = node().await;
    let items = node.client.cache::<Old>("item", patient()).unwrap();
    let load = || async { Ok::<_, DatabaseError>(NewEntry::raw("no JSON")) };
    for _ in 0..2 {
        let read = items.get_or_load(1, load).await;
        assert!(matches!(read, Err(GetError::Decode(_))), "{read:?}");
    }
}

#[tokio::test]
async fn entry_of_another_schema_is_no_fallback() {
    let (_redis, old, new) = two_programs([0, 1]).await;
    let policy = patient().stale_if_error(LONG);
    let items: Cache<New> = new.client.cache_with("item", policy, Values::new().schema(1)).unwrap();
    old.read().await.unwrap();
    let failing = || async { Err::<New, _>(DatabaseError) };
    // This read decodes nothing, so only the schema shows that the entry is another one.
    let read = items.read(1, failing).await;
    assert!(matches!(read, Err(LoadError::Loader(_))), "{read:?}");
    assert!(old.items.get(1).await.is_some(), "a failed load replaces nothing");
}

/// A program's own codec: the two numbers of a point.
enum Points {}

#[derive(Debug, PartialEq)]
struct Point(u8, u8);

impl Encode<Point> for Points {
    fn encode(value: &Point) -> Result<Vec<u8>, CodecError> {
        match value {
            Point(0, 0) => Err(CodecError::new("the origin has no encoding")),
            Point(x, y) => Ok(vec![*x, *y]),
        }
    }
}

impl Decode<Point> for Points {
    fn decode(bytes: &[u8]) -> Result<Point, CodecError> {
        match bytes {
            [x, y] => Ok(Point(*x, *y)),
            _ => Err(CodecError::new("a point has two numbers")),
        }
    }
}

#[tokio::test]
async fn each_codec_stores_its_own_form() {
    let (_redis, Node { client, .. }) = node().await;
    let json: Cache<New, Json> = client.cache_with("json", patient(), Values::new()).unwrap();
    let packed: Cache<New, MessagePack> = client.cache_with("messagepack", patient(), Values::new()).unwrap();
    let post: Cache<New, Postcard> = client.cache_with("postcard", patient(), Values::new()).unwrap();
    let points: Cache<Point, Points> = client.cache_with("point", patient(), Values::new()).unwrap();
    let load = || async { Ok::<_, DatabaseError>(New::at(7)) };
    let absent = || async { Ok::<_, DatabaseError>(None::<New>) };
    for _ in 0..2 {
        assert_eq!(json.get_or_load(1, load).await.unwrap(), Some(New::at(7)));
        assert_eq!(packed.get_or_load(1, load).await.unwrap(), Some(New::at(7)));
        assert_eq!(post.get_or_load(1, load).await.unwrap(), Some(New::at(7)));
        assert_eq!(packed.get_or_load(2, absent).await.unwrap(), None);
        let loaded =
            points.get_or_load(1, || async { Ok::<_, DatabaseError>(NewEntry::value(&Point(3, 4)).version(9)) });
        assert_eq!(loaded.await.unwrap(), Some(Point(3, 4)));
    }
    let bytes = async |key| held(&client, key).await.unwrap().size_bytes.unwrap();
    assert!(bytes(post.key(1)).await < bytes(packed.key(1)).await);
    assert!(bytes(packed.key(1)).await < bytes(json.key(1)).await);
    assert_eq!(points.get(1).await.unwrap().version(), Some(9));
    let failed = points.get_or_load(2, || async { Ok::<_, DatabaseError>(Point(0, 0)) }).await;
    assert!(matches!(failed, Err(GetError::Load(LoadError::Encode(_)))), "{failed:?}");
}

/// Returns a cache of texts that compresses those above 1,000 bytes.
pub(crate) fn pages(client: &CacheClient, policy: Policy) -> Cache<String> {
    client.cache_with("page", policy, Values::new().compress_above(1_000).schema(4)).unwrap()
}

/// A text that is compressed, and one that is not.
pub(crate) fn texts() -> [(u32, String); 2] {
    [(1, "a page of a shop ".repeat(1_000)), (2, "short".to_owned())]
}

/// Loads these texts, and expects that the cache returns them as they were loaded.
pub(crate) async fn texts_are_read_as_they_were_loaded(pages: &Cache<String>) {
    for (id, expected) in texts() {
        let stored = expected.clone();
        let load = move || {
            let stored = stored.clone();
            async move { Ok::<_, DatabaseError>(NewEntry::value(&stored).stamp("9:9")) }
        };
        let loaded = pages.read(id, load.clone()).await.unwrap();
        assert_eq!(loaded.outcome(), Outcome::Miss(Fill::Stored));
        let held = pages.read(id, load).await.unwrap();
        assert!(held.outcome().is_cached());
        assert_eq!((held.value().unwrap(), held.stamp()), (Some(expected), Some("9:9")));
        assert_eq!((held.body(), held.digest()), (loaded.body(), loaded.digest()));
    }
}

#[tokio::test]
async fn large_values_are_compressed_and_read_as_they_were_loaded() {
    let (_redis, node) = node().await;
    let pages = pages(&node.client, patient());
    texts_are_read_as_they_were_loaded(&pages).await;
    let info = held(&node.client, pages.key(1)).await.unwrap();
    assert_eq!((info.state, info.size_bytes.map(|size| size < 1_000)), (EntryState::Fresh, Some(true)));
    assert_eq!(pages.invalidate(1).await.acknowledged(), Ok(1));
    assert_eq!(pages.invalidate(2).await.acknowledged(), Ok(1));
}

#[tokio::test]
async fn value_above_the_largest_is_returned_and_not_stored() {
    let (_redis, node) = node().await;
    let pages: Cache<String> = node.client.cache_with("page", patient(), Values::new().largest(100)).unwrap();
    let load = |length: usize| move || async move { Ok::<_, DatabaseError>("x".repeat(length)) };
    for _ in 0..2 {
        let read = pages.read(1, load(99)).await.unwrap();
        assert_eq!(read.outcome(), Outcome::Miss(Fill::TooLarge), "two quotation marks are a part of the JSON");
        assert_eq!(read.value().unwrap().map(|text| text.len()), Some(99));
        assert_eq!(read.outcome().to_string(), "fwd=miss; detail=too-large");
        // The lease is released, so that the next read does not wait for it.
        assert!(held(&node.client, pages.key(1)).await.is_none());
    }
    assert_eq!(pages.read(2, load(98)).await.unwrap().outcome(), Outcome::Miss(Fill::Stored));
}
