//! Several entries at once on a cluster: what a batch costs its primaries.

use cache::Keyspace;
use testkit::{Redis, RedisCluster};

use crate::both::many::{Table, texts};
use crate::support::{Node, settings};

/// Returns the sum of a number that each primary reports.
async fn sum(primaries: &[Redis], section: &str, name: &str) -> u64 {
    let mut sum = 0;
    for primary in primaries {
        let info = primary.cli(&["INFO", section]).await.unwrap();
        let number = info.lines().find_map(|line| line.strip_prefix(name)?.split(',').next()?.trim().parse().ok());
        sum += number.unwrap_or(0);
    }
    sum
}

/// The numbers are those of whole servers, so no other test may use this cluster.
#[tokio::test]
async fn hits_are_sent_together_to_each_primary() {
    let cluster = RedisCluster::start().await.unwrap();
    let primaries = &cluster.nodes()[..3];
    let node = Node::of(Keyspace::partitioned("shop", 8).unwrap(), &settings(cluster.url())).await;
    let (texts, table) = (texts(&node.client), Table::of(0..1_000));
    let ids: Vec<u32> = (0..1_000).collect();
    table.read(&texts, &ids).await;
    assert_eq!(table.taken_calls().len(), 1, "one call for all partitions");

    let gets = async || sum(primaries, "commandstats", "cmdstat_get:calls=").await;
    let writes = async || sum(primaries, "stats", "total_writes_processed:").await;
    let before = (gets().await, writes().await);
    assert!(table.read(&texts, &ids).await.iter().all(Option::is_some));
    let writes = writes().await - before.1;
    assert!(gets().await - before.0 >= 1_000, "the hits are not from the primaries");
    // A primary answers what it has read at once by one write. Most of these are of the probe and of redis-cli.
    assert!(writes < 500, "{writes} writes for 1,000 hits: they were not sent together");
    assert!(table.taken_calls().is_empty());

    // About 25 in each partition; a command may name 64.
    let removals = async || sum(primaries, "commandstats", "cmdstat_unlink:calls=").await;
    let before = removals().await;
    assert_eq!(texts.invalidate_many(0..200).await.acknowledged(), Ok(200));
    assert_eq!(removals().await - before, 8);
}
