//! Several entries read at once: the commands that Redis receives, several partitions of one Redis, and no Redis.

use std::time::Instant;

use cache::{Cache, CacheClient, CacheSettings, Keyspace};
use testkit::{Proxy, Redis, eventually};
use tokio::task::{JoinHandle, yield_now};

use crate::both::many::{Table, only_missing_texts_are_loaded, originals, texts};
use crate::support::{LONG, Node, SOON, calls, node, patient, redis, settings, through};

#[tokio::test]
async fn entries_of_several_partitions_are_loaded_by_one_call() {
    let redis = redis().await;
    let keyspace = Keyspace::partitioned("parts", 8).unwrap();
    let client = CacheClient::connect_with(keyspace, &settings(redis.url())).await.unwrap();
    only_missing_texts_are_loaded(&client).await;
}

/// The lookups of a batch are sent together, and so are its leases and its fills.
#[tokio::test]
async fn batch_sends_few_lookups_and_two_scripts_for_each_missing_entry() {
    let redis = redis().await;
    // A thousand scripts are sent at once; on a busy machine, the last reply comes late.
    let node = Node::with(&CacheSettings { command_timeout: LONG, ..settings(redis.url()) }, patient()).await;
    let (texts, table) = (texts(&node.client), Table::of(0..1_000));
    let ids: Vec<u32> = (0..1_000).collect();
    let scripts = calls(&redis, "evalsha").await;
    table.read(&texts, &ids).await;
    assert_eq!(calls(&redis, "evalsha").await - scripts, 2_000);
    assert_eq!(table.taken_calls().len(), 1);
    let lookups = async || {
        let before = calls(&redis, "mget").await;
        assert_eq!(table.read(&texts, &ids).await, originals(&ids));
        calls(&redis, "mget").await - before
    };
    // Until the thread has its connection, lookups use that of the library.
    eventually("one command for 64 of 1,000 lookups", SOON, async || lookups().await == 16).await;
    let stats = redis.cli(&["INFO", "stats"]).await.unwrap();
    let written = |stats: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.strip_prefix("total_writes_processed:")).unwrap();
        line.trim().parse().unwrap()
    };
    let writes = written(&stats);
    let hits = table.read(&texts, &ids).await;
    assert!(hits.iter().all(Option::is_some));
    let writes = written(&redis.cli(&["INFO", "stats"]).await.unwrap()) - writes;
    // Redis answers what it has read at once by one write. A few of them are of the probe and of redis-cli.
    assert!(writes < 100, "{writes} writes for 1,000 hits: they were not sent together");
}

/// Two hundred stored texts, read by a client whose commands and replies pass through a proxy.
struct Distant {
    redis: Redis,
    proxy: Proxy,
    node: Node,
    texts: Cache<String>,
    table: Table,
    ids: Vec<u32>,
}

impl Distant {
    async fn start() -> Self {
        let (redis, node) = node().await;
        let proxy = Proxy::to(redis.port()).await.unwrap();
        // On a busy machine, a test may hold replies back for a long time.
        let patience = CacheSettings { command_timeout: LONG, ..settings(through(&proxy)) };
        let behind = Node::with(&patience, patient()).await;
        let (texts, ids) = (texts(&behind.client), (0..200).collect::<Vec<u32>>());
        let table = Table::of(ids.clone());
        let this = Self { redis, proxy, node, texts, table, ids };
        // Until the thread has its connection, lookups use that of the library.
        let is_pipelined = async || {
            let before = calls(&this.redis, "mget").await;
            this.read().await.unwrap();
            calls(&this.redis, "mget").await == before + 4
        };
        eventually("lookups by four commands", SOON, is_pipelined).await;
        this
    }

    fn read(&self) -> JoinHandle<Vec<Option<String>>> {
        let (table, texts, ids) = (self.table.clone(), self.texts.clone(), self.ids.clone());
        tokio::spawn(async move { table.read(&texts, &ids).await })
    }

    /// Begins a batch whose replies are held back after Redis has carried out its commands.
    async fn read_without_replies(&self) -> JoinHandle<Vec<Option<String>>> {
        let before = calls(&self.redis, "mget").await;
        self.proxy.delay_replies();
        let reading = self.read();
        eventually("the batch in Redis", SOON, async || calls(&self.redis, "mget").await == before + 4).await;
        reading
    }
}

#[tokio::test]
async fn batch_does_not_share_the_replies_to_an_earlier_one() {
    let distant = Distant::start().await;
    let early = distant.read_without_replies().await;
    distant.table.change(7, "changed");
    assert_eq!(texts(&distant.node.client).invalidate(7).await.acknowledged(), Ok(1));
    let late = distant.read();
    yield_now().await;
    distant.proxy.release_replies();
    assert_eq!(early.await.unwrap()[7].as_deref(), Some("text 7"));
    assert_eq!(late.await.unwrap()[7].as_deref(), Some("changed"), "it began after the acknowledged invalidation");
}

#[tokio::test]
async fn batch_whose_connection_breaks_is_complete() {
    let distant = Distant::start().await;
    let reading = distant.read_without_replies().await;
    distant.proxy.cut();
    distant.proxy.release_replies();
    distant.proxy.restore();
    assert_eq!(reading.await.unwrap(), originals(&distant.ids));
}

/// As for a user without the permission `mget`.
#[tokio::test]
async fn batch_whose_command_is_refused_is_read_entry_by_entry() {
    let distant = Distant::start().await;
    distant.table.taken_calls();
    distant.redis.cli(&["ACL", "SETUSER", "default", "-mget"]).await.unwrap();
    let before = calls(&distant.redis, "get").await;
    assert_eq!(distant.read().await.unwrap(), originals(&distant.ids));
    assert!(calls(&distant.redis, "get").await >= before + 200);
    assert_eq!(distant.table.taken_calls(), Vec::<Vec<u32>>::new(), "all of them are hits");
}

#[tokio::test]
async fn batch_without_redis_is_loaded_by_one_call() {
    let (redis, node) = node().await;
    let texts = texts(&node.client);
    redis.kill().await.unwrap();
    eventually("the end of Redis", SOON, async || !node.client.health().is_in_use()).await;
    let table = Table::of(0..100);
    let ids: Vec<u32> = (0..100).collect();
    let began = Instant::now();
    assert!(table.read(&texts, &ids).await.iter().all(Option::is_some));
    assert!(began.elapsed() < SOON);
    assert_eq!(table.taken_calls(), [ids]);
    assert!(table.read_uncached(&texts, &[5, 6]).await.iter().all(Option::is_some));
    assert_eq!(table.taken_calls(), [[5, 6]]);
}
