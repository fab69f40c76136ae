//! A cluster that is reached over TLS, with a client certificate.

use cache::health::Health;
use cache::{CacheClient, Keyspace};
use testkit::RedisCluster;

use crate::support::{Node, Row, settings, shelf};

#[tokio::test]
async fn entries_on_a_cluster_over_tls_are_stored_found_and_invalidated() {
    let cluster = RedisCluster::start_over_tls().await.unwrap();
    let node = Node::of(Keyspace::partitioned("shop", 8).unwrap(), &settings(cluster.url())).await;
    let row = Row::new([shelf(1)]);
    node.fill_many(0..100, &row).await;
    node.until_hit(1, &row).await;
    row.commit();
    assert_eq!(node.remove_tag(shelf(1)).await, 100);
    for id in 0..100 {
        assert_eq!(node.read(id, &row).await.version(), Some(2));
    }
}

/// The nodes require a certificate of the client.
#[tokio::test]
async fn cluster_over_tls_is_not_used_without_a_client_certificate() {
    let cluster = RedisCluster::start_over_tls().await.unwrap();
    let url = cluster.url();
    let (without, _) = url.split_once("&cert_file").unwrap();
    let keyspace = Keyspace::partitioned("shop", 8).unwrap();
    let client = CacheClient::connect_with(keyspace, &settings(without.to_owned())).await.unwrap();
    assert!(matches!(client.health(), Health::Down(_)), "{:?}", client.health());
}
