//! The ways to reach Redis: each carries commands, pipelined reads and the tracked connection of a near cache.

use std::net::TcpListener;
use std::time::Duration;

use cache::health::{Health, Reason};
use cache::outcome::{Bypass, Fill};
use cache::{CacheSettings, Near, Outcome};
use testkit::{Certificates, Redis, Transport, eventually};

use crate::support::{Node, Row, SOON, connections, patient, settings, shelf};

const BOUND: Duration = Duration::from_secs(2);

/// Uses the server through `url` for every kind of connection.
async fn is_fully_usable(redis: &Redis, url: String) {
    let settings = CacheSettings { near_bound: Some(BOUND), ..settings(url) };
    let node = Node::with(&settings, patient().near(Near::Strict(BOUND))).await;
    let peer = Node::with(&settings, patient()).await;
    let row = Row::new([]);
    assert_eq!(node.client.health(), Health::Up, "{}", settings.url);
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));
    eventually("a hit from memory", SOON, async || node.read(1, &row).await.outcome() == Outcome::NearHit).await;
    peer.until_hit(1, &row).await;
    // The library's and the tracked one of each, and the one of the peer's pipelined reads.
    eventually("all connections", SOON, async || connections(redis).await == 5).await;
    row.commit();
    assert_eq!(peer.remove(1).await, 1);
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}

#[tokio::test]
async fn unix_socket_carries_everything() {
    let redis = Redis::start_over(Transport::Unix).await.unwrap();
    is_fully_usable(&redis, redis.url()).await;
    assert_ne!(redis.cli(&["DBSIZE"]).await.unwrap().trim(), "0");
    let other = Redis::start_over(Transport::Unix).await.unwrap();
    is_fully_usable(&other, format!("{}?db=3", other.url())).await;
    assert_eq!(other.cli(&["DBSIZE"]).await.unwrap().trim(), "0", "the entries are in database 3");
}

#[tokio::test]
async fn tls_with_a_client_certificate_carries_everything() {
    let redis = Redis::start_over(Transport::Tls).await.unwrap();
    is_fully_usable(&redis, redis.url()).await;
    let other = Redis::start_over(Transport::Tls).await.unwrap();
    is_fully_usable(&other, other.url().replace("127.0.0.1", "localhost")).await;
}

#[tokio::test]
async fn ipv6_carries_everything() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let redis = Redis::start_with(&[("bind", "127.0.0.1 ::1")]).await.unwrap();
    is_fully_usable(&redis, Transport::of_this_run().url(redis.port()).replace("127.0.0.1", "[::1]")).await;
}

#[tokio::test]
async fn server_that_does_not_trust_the_client_counts_as_down() {
    let redis = Redis::start_over(Transport::Tls).await.unwrap();
    let Certificates { ca, .. } = Certificates::get();
    let url = format!("rediss://127.0.0.1:{}?ca_file={}", redis.port(), ca.display());
    let (node, row) = (Node::with(&settings(url), patient()).await, Row::new([]));
    assert_eq!(node.client.health(), Health::Down(Reason::NoAnswer));
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
}

#[tokio::test]
async fn server_with_a_certificate_of_another_authority_is_not_trusted() {
    let redis = Redis::start_over(Transport::Tls).await.unwrap();
    let Certificates { server: [of_server, _], client: [certificate, key], .. } = Certificates::get();
    // The certificate of a server is no authority.
    let files = [("ca_file", of_server), ("cert_file", certificate), ("key_file", key)];
    let files = files.map(|(name, path)| format!("{name}={}", path.display())).join("&");
    let url = format!("rediss://127.0.0.1:{}?{files}", redis.port());
    let (node, row) = (Node::with(&settings(url), patient()).await, Row::new([]));
    assert_eq!(node.client.health(), Health::Down(Reason::NoAnswer));
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Bypass(Bypass::RedisDown));
}

#[tokio::test]
async fn changed_password_is_read_from_its_file() {
    let redis = Redis::start().await.unwrap();
    let [user, password] = ["user", "password"].map(|name| redis.directory().join(name));
    std::fs::write(&user, "cache\n").unwrap();
    std::fs::write(&password, "first\n").unwrap();
    redis.cli(&["ACL", "SETUSER", "cache", "on", ">first", "~*", "&*", "+@all"]).await.unwrap();
    let url = Transport::of_this_run().url(redis.port());
    let mark = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{mark}user_file={}&password_file={}", user.display(), password.display());
    let (node, row) = (Node::with(&settings(url), patient()).await, Row::new([]));
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored));

    std::fs::write(&password, "second\n").unwrap();
    redis.cli(&["ACL", "SETUSER", "cache", "<first", ">second"]).await.unwrap();
    redis.cli(&["CLIENT", "KILL", "USER", "cache"]).await.unwrap();
    eventually("the next login", SOON, async || {
        let clients = redis.cli(&["CLIENT", "LIST"]).await.unwrap();
        let of_cache = clients.lines().filter(|client| client.contains("user=cache")).count();
        of_cache >= 2 && node.client.health() == Health::Up
    })
    .await;
    node.until_hit(1, &row).await;
}

#[tokio::test]
async fn dropped_client_closes_its_connections() {
    let redis = Redis::start().await.unwrap();
    let settings = CacheSettings { near_bound: Some(BOUND), ..settings(redis.url()) };
    let node = Node::with(&settings, patient().near(Near::Strict(BOUND))).await;
    node.read(1, &Row::new([])).await;
    eventually("its connections", SOON, async || connections(&redis).await >= 2).await;
    // A cache keeps the client alive.
    let Node { client, cache, .. } = node;
    drop(client);
    cache.get_or_load(2, || async { Ok::<_, std::convert::Infallible>(None::<String>) }).await.unwrap();
    assert!(connections(&redis).await >= 2);
    drop(cache);
    eventually("the end of its connections", SOON, async || connections(&redis).await == 0).await;
}

#[tokio::test]
async fn forbidden_command_is_named() {
    let redis = Redis::start().await.unwrap();
    let user = ["ACL", "SETUSER", "default", "on", "nopass", "~*", "&*", "+@all", "-evalsha"];
    redis.cli(&user).await.unwrap();
    let node = Node::on(&redis).await;
    let row = Row::new([]);
    eventually("the command's name", SOON, async || {
        node.read(1, &row).await;
        node.client.health() == Health::Degraded(Reason::Forbidden("the command `evalsha`".to_owned()))
    })
    .await;
}

/// Redis 7.0 does not name the command of a script, only its line.
#[tokio::test]
async fn forbidden_command_of_a_script_is_named() {
    let redis = Redis::start().await.unwrap();
    let (node, row) = (Node::on(&redis).await, Row::new([shelf(1)]));
    for command in ["zadd", "hincrby"] {
        let permissions = ["+@all".to_owned(), format!("-{command}")];
        redis.cli(&["ACL", "SETUSER", "default", &permissions[0], &permissions[1]]).await.unwrap();
        let refused = Health::Degraded(Reason::Forbidden(format!("the command `{command}`")));
        eventually("the command's name", SOON, async || {
            node.read(1, &row).await;
            let _ = node.client.invalidate_tag(shelf(1)).await;
            node.client.health() == refused
        })
        .await;
    }
}
