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

    let calls = async |name| sum(primaries, "commandstats", &format!("cmdstat_{name}:calls=")).await;
    let before = (calls("mget").await, calls("get").await);
    assert!(table.read(&texts, &ids).await.iter().all(Option::is_some));
    assert!(table.taken_calls().is_empty());
    // About 125 in each of 8 partitions; a command names at most 64, so each partition needs two or three.
    let (commands, single) = (calls("mget").await - before.0, calls("get").await - before.1);
    assert!((16..=24).contains(&commands), "{commands} commands for 1,000 hits");
    assert_eq!(single, 0, "entries were read one by one");

    // About 25 in each partition; a command may name 64.
    let removals = async || sum(primaries, "commandstats", "cmdstat_unlink:calls=").await;
    let before = removals().await;
    assert_eq!(texts.invalidate_many(0..200).await.acknowledged(), Ok(200));
    assert_eq!(removals().await - before, 8);
}
