//! The registry names every member of a tag set, and the sweep reads it.

use std::time::Duration;

use cache::{CacheSettings, Policy};
use testkit::eventually;

use crate::support::{Node, Row, SOON, Server, existing, lose, number, one_node, server, shelf};

const REGISTRY: &str = "shop:~registered";

async fn sweeping(server: &Server) -> Node {
    Node::adjusted(server, |settings| CacheSettings { sweep_rest: Duration::from_millis(10), ..settings }).await
}

/// A key of another type in the place of a tag set must stop neither the sweep nor a fill that examines registrations.
#[tokio::test]
async fn sweep_and_fills_pass_a_tag_set_of_the_wrong_type() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    let brief = node.under(Policy::ttl(Duration::from_millis(30)));
    brief.fill_many(1..40, &row).await;
    redis.cli(&["SET", "shop:~drain:shelf:1", "no set"]).await.unwrap();
    eventually("the end of the entries", SOON, async || existing(&redis, &["shop:item:1"]).await == 0).await;
    redis.cli(&["DEL", "shop:~tag:shelf:1"]).await.unwrap();
    redis.cli(&["SET", "shop:~tag:shelf:1", "no set"]).await.unwrap();
    for id in 100..110 {
        node.fill(id, &Row::new([shelf(2)])).await;
    }
    let _sweeping = sweeping(&redis).await;
    let registered = async || number(&redis, &["ZCARD", REGISTRY]).await;
    eventually("only the entries that exist are registered", SOON, async || registered().await == 10).await;
}

#[tokio::test]
async fn tag_set_left_by_a_crashed_invalidation_is_swept() {
    let redis = server().await;
    let node = sweeping(&redis).await;
    node.fill_many(0..300, &Row::new([shelf(1)])).await;
    redis.cli(&["RENAME", "shop:~tag:shelf:1", "shop:~drain:shelf:1"]).await.unwrap();
    lose(&redis, 0..300).await;
    eventually("the sweep", SOON, async || existing(&redis, &["shop:~drain:shelf:1", REGISTRY]).await == 0).await;
}
