//! A rolling deployment: old and new processes, whose values have different types, share the entries of one Redis. Each
//! process reads and writes rows at random, and counts the reads that were older than an acknowledged write of any process. With
//! `same-schema`, the new program has forgotten to change the schema of its cache.
//!
//! ```sh
//! export REDIS_URL=redis://127.0.0.1:6379
//! cargo run --package cache --example rolling_deployment -- old & cargo run --package cache --example rolling_deployment -- new
//! ```

mod common;

use std::env;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cache::{Cache, CacheClient, CacheSettings, Keyspace, NewEntry, Policy, Values, with};
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface, SortedSetsInterface};
use fred::types::Builder;
use fred::types::config::Config;
use fred::types::sorted_sets::Ordering;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use common::redis_url;

type Error = Box<dyn std::error::Error + Send + Sync>;

const ROWS: u32 = 8;
const OPERATIONS: u32 = 2_000;
/// The versions of the rows whose writers have acknowledged them, by row.
const ACKNOWLEDGED: &str = "rolling-deployment:acknowledged";

/// What both versions of the program have.
trait Post: Serialize + DeserializeOwned + Send + Sync + 'static {
    const SCHEMA: u32;
    fn of(row: u64) -> Self;
    fn row(&self) -> u64;
}

#[derive(Serialize, Deserialize)]
struct OldPost {
    row: u64,
    words: u32,
}

#[derive(Serialize, Deserialize)]
struct NewPost {
    row: u64,
    words: Words,
}

#[derive(Serialize, Deserialize)]
struct Words {
    count: u32,
    language: String,
}

impl Post for OldPost {
    const SCHEMA: u32 = 1;

    fn of(row: u64) -> Self {
        Self { row, words: 700 }
    }

    fn row(&self) -> u64 {
        self.row
    }
}

impl Post for NewPost {
    const SCHEMA: u32 = 2;

    fn of(row: u64) -> Self {
        Self { row, words: Words { count: 700, language: "en".to_owned() } }
    }

    fn row(&self) -> u64 {
        self.row
    }
}

/// The results of one process.
#[derive(Default)]
struct Counts {
    reads: u32,
    writes: u32,
    stale: u32,
}

/// The rows are keys of the same Redis, so that the processes share them.
#[derive(Clone)]
struct Rows {
    client: Client,
    loads: Arc<AtomicU32>,
}

async fn load_post<P: Post>(rows: &Rows, id: u32) -> Result<NewEntry<P>, fred::error::Error> {
    rows.loads.fetch_add(1, Relaxed);
    let row: Option<u64> = rows.client.get(format!("rolling-deployment:row:{id}")).await?;
    Ok(NewEntry::value(&P::of(row.unwrap_or_default())))
}

async fn run<P: Post>(client: &CacheClient, table: &Rows, schema: u32) -> Result<Counts, Error> {
    let hour = Policy::ttl(Duration::from_secs(3_600));
    let posts: Cache<P> = client.cache_with("post", hour, Values::new().schema(schema))?;
    let (rows, mut counts) = (&table.client, Counts::default());
    for _ in 0..OPERATIONS {
        let id = rand::random_range(0..ROWS);
        if rand::random_ratio(1, 20) {
            let version: u64 = rows.incr(format!("rolling-deployment:row:{id}")).await?;
            posts.invalidate(id).await.acknowledged()?;
            let order = Some(Ordering::GreaterThan);
            let () = rows.zadd(ACKNOWLEDGED, None, order, false, false, (version as f64, id.to_string())).await?;
            counts.writes += 1;
            continue;
        }
        let at_least: Option<f64> = rows.zscore(ACKNOWLEDGED, id.to_string()).await?;
        let post = posts.get_or_load(id, with(table, id, load_post::<P>)).await?.ok_or("a post is missing")?;
        counts.reads += 1;
        counts.stale += u32::from((post.row() as f64) < at_least.unwrap_or_default());
    }
    Ok(counts)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // No user waits for this program, so it waits longer for Redis than a server would.
    let long = Duration::from_secs(5);
    let settings = CacheSettings { url: redis_url(), command_timeout: long, ..CacheSettings::default() };
    let client = CacheClient::connect_with(Keyspace::new("rolling-deployment")?, &settings).await?;
    let rows = Builder::from_config(Config::from_url(&redis_url())?).build()?;
    rows.init().await?;
    let table = Rows { client: rows, loads: Arc::default() };
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Counts { reads, writes, stale } = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["old"] | ["old", "same-schema"] => run::<OldPost>(&client, &table, OldPost::SCHEMA).await?,
        ["new"] => run::<NewPost>(&client, &table, NewPost::SCHEMA).await?,
        ["new", "same-schema"] => run::<NewPost>(&client, &table, OldPost::SCHEMA).await?,
        _ => return Err("the argument must be `old` or `new`, and `same-schema` may follow".into()),
    };
    let loads = table.loads.load(Relaxed);
    println!("{} hits, {loads} loads, {writes} writes, {stale} stale", reads - loads);
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
