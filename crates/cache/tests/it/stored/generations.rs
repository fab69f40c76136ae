//! A new fence table has a new, unique generation. It tells a load that fences are lost.

use std::collections::HashSet;

use cache::Outcome;
use testkit::eventually;

use crate::support::{Node, Row, SOON, Server, one_node, shelf};

/// The script that uses the fence table.
#[derive(Clone, Copy, Debug)]
enum Script {
    Acquire,
    TakeOver,
    Refresh,
    InvalidateTag,
    FenceTag,
}

const ALL: [Script; 5] = [Script::Acquire, Script::TakeOver, Script::Refresh, Script::InvalidateTag, Script::FenceTag];

/// Makes entry 1 absent and entry 2 stale.
async fn prepare(node: &Node, row: &Row) {
    for id in [1, 2] {
        node.remove(id).await;
    }
    node.fill(2, row).await;
    node.expire(2).await;
    row.commit();
}

async fn meet(script: Script, node: &Node, row: &Row) {
    match script {
        Script::Acquire => node.fill(1, row).await,
        Script::TakeOver => node.cache.begin_write(1).await.abandon().await,
        Script::Refresh => {
            // Each read of the stale entry begins a refresh, if none is in flight.
            let is_refreshed = async || node.read(2, row).await.outcome() == Outcome::Hit;
            eventually("a refreshed entry", SOON, is_refreshed).await;
        }
        Script::InvalidateTag => _ = node.remove_tag(shelf(1)).await,
        Script::FenceTag => _ = node.expire_tag(shelf(1)).await,
    }
}

async fn generation(redis: &Server) -> String {
    redis.cli(&["HGET", "shop:~fence", "gen"]).await.unwrap()
}

#[tokio::test]
async fn each_script_creates_a_missing_generation_that_is_unique() {
    let (redis, node, row) = one_node([]).await;
    let mut seen = HashSet::new();
    for script in ALL.into_iter().chain(ALL) {
        prepare(&node, &row).await;
        redis.cli(&["DEL", "shop:~fence"]).await.unwrap();
        meet(script, &node, &row).await;
        let generation = generation(&redis).await;
        assert!(!generation.is_empty(), "{script:?} makes none");
        assert!(seen.insert(generation), "{script:?} makes one that has been");
    }
}

#[tokio::test]
async fn each_script_keeps_an_existing_generation() {
    let (redis, node, row) = one_node([]).await;
    prepare(&node, &row).await;
    // On a cluster, every partition has its own.
    node.remove_tag(shelf(1)).await;
    let before = generation(&redis).await;
    for script in ALL {
        prepare(&node, &row).await;
        assert_eq!(generation(&redis).await, before);
        meet(script, &node, &row).await;
        assert_eq!(generation(&redis).await, before, "{script:?}");
    }
}
