//! Values over time: a type that changes while old and new processes run, codecs, compression and limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache::codec::{CodecError, Decode, Encode, Json, MessagePack, Postcard};
use cache::error::{GetError, LoadError};
use cache::outcome::Fill;
use cache::{Cache, CacheClient, CacheSettings, Invalidation, Keyspace, Near, NewEntry, Outcome, Policy, Values};
use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use testkit::{Redis, eventually};

use crate::support::{DatabaseError, LONG, SOON, existing, number, patient, redis, settings};

/// The type of an old program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    version: u64,
    name: String,
}

/// The type of its successor: neither can be decoded as the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct New {
    version: u64,
    title: String,
    stock: u32,
}

trait Versioned: Send + Serialize + DeserializeOwned + 'static {
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
struct Program<T> {
    client: CacheClient,
    items: Cache<T>,
    row: Arc<AtomicU64>,
}

impl<T: Versioned> Program<T> {
    async fn start(settings: &CacheSettings, policy: Policy, schema: u32, row: &Arc<AtomicU64>) -> Self {
        let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), settings).await.unwrap();
        let items = client.cache_with("item", policy, Values::new().schema(schema)).unwrap();
        Self { client, items, row: Arc::clone(row) }
    }

    /// Reads the item, and returns its version.
    async fn read(&self) -> Result<u64, GetError> {
        let row = Arc::clone(&self.row);
        let load = move || {
            let version = row.load(SeqCst);
            async move { Ok::<_, DatabaseError>(T::at(version)) }
        };
        Ok(self.items.get_or_load(1, load).await?.unwrap().version())
    }

    /// Changes the row, and returns its version once it is acknowledged.
    async fn write(&self) -> u64 {
        let version = self.row.fetch_add(1, SeqCst) + 1;
        self.client.invalidate(Invalidation::hard().key(self.items.key(1))).await.acknowledged().unwrap();
        version
    }
}

async fn two_programs(redis: &Redis, near: bool, schemas: [u32; 2]) -> (Program<Old>, Program<New>) {
    let row = Arc::new(AtomicU64::new(1));
    let bound = Duration::from_millis(200);
    let policy = || if near { patient().near(Near::Strict(bound)) } else { patient() };
    let settings = CacheSettings { near_bound: near.then_some(bound), ..settings(redis.url()) };
    let old = Program::start(&settings, policy(), schemas[0], &row).await;
    let new = Program::start(&settings, policy(), schemas[1], &row).await;
    (old, new)
}

#[tokio::test]
async fn programs_with_different_schemas_replace_each_others_entries() {
    let redis = redis().await;
    let (old, new) = two_programs(&redis, false, [0, 1]).await;
    for _ in 0..3 {
        let version = old.write().await;
        assert_eq!([old.read().await.unwrap(), new.read().await.unwrap()], [version; 2]);
        assert!(old.items.get(1).await.is_none(), "an entry of another schema is none");
        assert_eq!(new.items.get(1).await.unwrap().outcome(), Outcome::Hit);
        assert!(redis.cli(&["GET", "shop:item:1"]).await.unwrap().contains(" schema=1\n"));
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
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_deployment_causes_no_error_and_no_stale_read() {
    for (near, schemas) in [(false, [0, 1]), (true, [0, 1]), (false, [0, 0])] {
        let redis = redis().await;
        let (old, new) = two_programs(&redis, near, schemas).await;
        let (acknowledged, writing) = (AtomicU64::new(1), AtomicBool::new(true));
        let writer = async {
            for step in 0..100 {
                let version = if step % 2 == 0 { old.write().await } else { new.write().await };
                acknowledged.fetch_max(version, SeqCst);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            writing.store(false, SeqCst);
        };
        let by_old = join_all((0..4).map(|_| keep_reading(&old, &acknowledged, &writing)));
        let by_new = join_all((0..4).map(|_| keep_reading(&new, &acknowledged, &writing)));
        let (by_old, by_new, ()) = tokio::join!(by_old, by_new, writer);
        assert!(by_old.into_iter().chain(by_new).all(|reads| reads > 10), "near: {near}");
    }
}

/// A program that forgot to change the schema.
#[tokio::test]
async fn entry_that_cannot_be_decoded_is_loaded_again_and_replaced() {
    let redis = redis().await;
    let (old, new) = two_programs(&redis, false, [0, 0]).await;
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
async fn entry_in_memory_that_cannot_be_decoded_is_replaced() {
    let redis = redis().await;
    let (old, new) = two_programs(&redis, true, [0, 0]).await;
    let version = old.write().await;
    assert_eq!(old.read().await.unwrap(), version);
    eventually("a hit from memory", SOON, async || new.items.get(1).await.unwrap().outcome() == Outcome::NearHit).await;
    assert_eq!(new.read().await.unwrap(), version);
    let held = redis.cli(&["GET", "shop:item:1"]).await.unwrap();
    assert!(held.contains("stock"), "{held}");
}

#[tokio::test]
async fn loaded_bytes_that_cannot_be_decoded_are_an_error() {
    let redis = redis().await;
    let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings(redis.url())).await.unwrap();
    let items = client.cache::<Old>("item", patient()).unwrap();
    let load = || async { Ok::<_, DatabaseError>(NewEntry::raw("no JSON")) };
    for _ in 0..2 {
        let read = items.get_or_load(1, load).await;
        assert!(matches!(read, Err(GetError::Decode(_))), "{read:?}");
    }
}

#[tokio::test]
async fn entry_of_another_schema_is_no_fallback() {
    let redis = redis().await;
    let (old, new) = two_programs(&redis, false, [0, 1]).await;
    let policy = patient().stale_if_error(LONG);
    let items: Cache<New> = new.client.cache_with("item", policy, Values::new().schema(1)).unwrap();
    old.read().await.unwrap();
    let failing = || async { Err::<New, _>(DatabaseError) };
    assert!(matches!(items.get_or_load(1, failing).await, Err(GetError::Load(LoadError::Loader(_)))));
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
    let redis = redis().await;
    let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings(redis.url())).await.unwrap();
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
    let bytes = async |key: &str| number(&redis, &["STRLEN", key]).await;
    assert!(bytes("shop:postcard:1").await < bytes("shop:messagepack:1").await);
    assert!(bytes("shop:messagepack:1").await < bytes("shop:json:1").await);
    assert_eq!(points.get(1).await.unwrap().version(), Some(9));
    let failed = points.get_or_load(2, || async { Ok::<_, DatabaseError>(Point(0, 0)) }).await;
    assert!(matches!(failed, Err(GetError::Load(LoadError::Encode(_)))), "{failed:?}");
}

#[tokio::test]
async fn large_values_are_compressed_and_read_as_they_were_loaded() {
    let redis = redis().await;
    let bound = Duration::from_millis(200);
    let settings = CacheSettings { near_bound: Some(bound), ..settings(redis.url()) };
    let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings).await.unwrap();
    let values = Values::new().compress_above(1_000).schema(4);
    let text = "a page of a shop ".repeat(1_000);
    for policy in [patient(), patient().near(Near::Strict(bound))] {
        let pages: Cache<String> = client.cache_with("page", policy, values).unwrap();
        for (id, expected) in [(1, text.clone()), (2, "short".to_owned())] {
            let stored = expected.clone();
            let load = move || {
                let stored = stored.clone();
                async move { Ok::<_, DatabaseError>(NewEntry::value(&stored).stamp("9:9")) }
            };
            let loaded = pages.read(id, load.clone()).await.unwrap();
            let held = pages.read(id, load).await.unwrap();
            assert!(held.outcome().is_cached());
            assert_eq!((held.value().unwrap(), held.stamp()), (Some(expected), Some("9:9")));
            assert_eq!((held.body(), held.digest()), (loaded.body(), loaded.digest()));
        }
        let length = number(&redis, &["STRLEN", "shop:page:1"]).await;
        assert!(length < 1_000, "{length} bytes");
        let header = redis.cli(&["GETRANGE", "shop:page:2", "0", "300"]).await.unwrap();
        assert!(header.contains(" schema=4 stamp=9:9\n") && !header.contains(" zip="), "{header}");
        let info = client.inspect(&pages.key(1)).await.unwrap().unwrap();
        assert_eq!(
            (format!("{:?}", info.state).as_str(), info.size_bytes.map(|size| size < 1_000)),
            ("Fresh", Some(true))
        );
        assert_eq!(pages.invalidate(1).await.acknowledged(), Ok(1));
        assert_eq!(pages.invalidate(2).await.acknowledged(), Ok(1));
    }
}

#[tokio::test]
async fn damaged_compressed_value_is_removed_and_loaded_again() {
    let redis = redis().await;
    let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings(redis.url())).await.unwrap();
    let pages: Cache<String> = client.cache_with("page", patient(), Values::new().compress_above(100)).unwrap();
    let text = "a page of a shop ".repeat(100);
    let stored = text.clone();
    let load = move || {
        let stored = stored.clone();
        async move { Ok::<_, DatabaseError>(stored) }
    };
    pages.get_or_load(1, load.clone()).await.unwrap();
    let end = number(&redis, &["STRLEN", "shop:page:1"]).await - 9;
    // Once in the compressed bytes, and once in the length before them.
    let start: i64 = redis
        .cli(&["EVAL", "return string.find(redis.call('GET', KEYS[1]), '\\n')", "1", "shop:page:1"])
        .await
        .unwrap()
        .parse()
        .unwrap();
    for place in [end, start + 2] {
        redis.cli(&["SETRANGE", "shop:page:1", &place.to_string(), "\u{7f}"]).await.unwrap();
        assert_eq!(pages.get_or_load(1, load.clone()).await.unwrap().as_deref(), Some(text.as_str()));
    }
}

#[tokio::test]
async fn value_above_the_largest_is_returned_and_not_stored() {
    let redis = redis().await;
    let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings(redis.url())).await.unwrap();
    let pages: Cache<String> = client.cache_with("page", patient(), Values::new().largest(100)).unwrap();
    let load = |length: usize| move || async move { Ok::<_, DatabaseError>("x".repeat(length)) };
    for _ in 0..2 {
        let read = pages.read(1, load(99)).await.unwrap();
        assert_eq!(read.outcome(), Outcome::Miss(Fill::TooLarge), "two quotation marks are a part of the JSON");
        assert_eq!(read.value().unwrap().map(|text| text.len()), Some(99));
        assert_eq!(read.outcome().to_string(), "fwd=miss; detail=too-large");
        // The lease is released, so that the next read does not wait for it.
        assert_eq!(existing(&redis, &["shop:page:1"]).await, 0);
    }
    assert_eq!(pages.read(2, load(98)).await.unwrap().outcome(), Outcome::Miss(Fill::Stored));
}
