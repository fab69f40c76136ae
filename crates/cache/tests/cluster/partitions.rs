//! All processes agree on the number of partitions, and there are enough for the cluster.

use std::collections::HashSet;

use cache::error::ConnectError;
use cache::health::{Health, Reason};
use cache::{CacheClient, CacheSettings, Keyspace};
use testkit::eventually;

use crate::support::{LONG, Node, Place, Row, node, settings, shelf};

/// Connects, and returns why the keyspace is refused: at once, or when the cluster answers on a busy machine.
async fn refusal(keyspace: Keyspace, url: String) -> String {
    let client = match CacheClient::connect_with(keyspace, &settings(url)).await {
        Ok(client) => client,
        Err(error @ ConnectError::Partitions(_)) => return error.to_string(),
        Err(error) => panic!("it is refused for another reason: {error}"),
    };
    let reason = async || match client.health() {
        Health::Down(reason @ Reason::Partitions(_)) => Some(reason.to_string()),
        Health::Up | Health::Degraded(_) => panic!("it is accepted"),
        Health::Down(_) => None,
    };
    eventually("the keyspace is refused", LONG, reason).await
}

#[tokio::test]
async fn entries_are_spread_over_the_primaries_and_found_by_tag_on_each() {
    let (place, node) = node().await;
    node.fill_many(0..200, &Row::new([shelf(1)])).await;
    let mut ports = HashSet::new();
    for id in 0..200 {
        ports.insert(place.cluster.primary_of(node.key(id).as_str()).await.unwrap().port());
        if ports.len() == 3 {
            break;
        }
    }
    assert_eq!(ports.len(), 3, "every primary has some of them");
    assert_eq!(node.remove_tag(shelf(1)).await, 200);
}

#[tokio::test]
async fn process_with_another_number_of_partitions_is_refused() {
    let (place, _node) = node().await;
    let other = Keyspace::partitioned(place.keyspace().name(), 16).unwrap();
    let error = refusal(other, place.cluster.url()).await;
    assert!(error.contains("has 8 partitions (`") && error.contains("~partitions`), and this one has 16"), "{error}");
}

#[tokio::test]
async fn cluster_with_more_primaries_than_partitions_is_refused() {
    let url = Place::new().await.cluster.url();
    for (partitions, reason) in
        [(1, "needs several partitions"), (2, "a cluster of 3 primaries needs at least as many partitions")]
    {
        let error = refusal(Keyspace::partitioned("narrow", partitions).unwrap(), url.clone()).await;
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn url_of_one_server_that_leads_to_a_node_of_a_cluster_is_refused() {
    let node = Place::new().await.cluster.nodes()[0].url();
    let client = match CacheClient::connect_with(Keyspace::new("narrow").unwrap(), &settings(node)).await {
        Ok(client) => client,
        Err(ConnectError::ClusterNode) => return,
        Err(error) => panic!("it is refused for another reason: {error}"),
    };
    eventually("the URL is refused", LONG, async || client.health() == Health::Down(Reason::ClusterNode)).await;
}

#[tokio::test]
async fn near_cache_on_a_cluster_is_refused() {
    let place = Place::new().await;
    let settings = CacheSettings { near_bound: Some(LONG), ..settings(place.cluster.url()) };
    let error = CacheClient::connect_with(place.keyspace(), &settings).await.unwrap_err();
    assert!(matches!(error, ConnectError::NearOnCluster), "{error}");
}

#[tokio::test]
async fn short_form_chooses_enough_partitions() {
    let url = Place::new().await.cluster.url();
    let client = CacheClient::connect(&url, "blog").await.unwrap();
    let keyspace = client.keyspace().clone();
    assert_eq!(keyspace.partitions(), 16);
    let node = Node::of(keyspace, &settings(url)).await;
    node.fill_many(0..100, &Row::new([shelf(1)])).await;
    assert_eq!(node.client.purge().await.acknowledged(), Ok(100));
}
