//! The examples run, against a private Redis, and show what they say.

use std::process::Command;

use testkit::{RedisCluster, sibling};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::redis;

fn example(name: &str, redis_url: &str) -> Command {
    let mut command = Command::new(sibling(&format!("examples/{name}")));
    command.env("REDIS_URL", redis_url).env("PORT", "0");
    command
}

/// Runs an example to its end on a Redis of its own, and returns what it has printed.
async fn printed(name: &str) -> Vec<String> {
    printed_on(name, &redis().await.url()).await
}

async fn printed_on(name: &str, redis_url: &str) -> Vec<String> {
    let mut command = tokio::process::Command::from(example(name, redis_url));
    let output = command.kill_on_drop(true).output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn worker_loads_missing_posts_by_one_call() {
    assert_eq!(
        printed("worker").await,
        [
            "the database is asked for 101 posts", "101 posts, 1 of them do not exist",
            "101 posts, 1 of them do not exist", "34 entries of author 1 are removed",
            "the database is asked for 34 posts",
        ]
    );
}

#[tokio::test]
async fn memory_example_needs_no_redis() {
    assert_eq!(
        printed("memory").await,
        [
            "fwd=miss; stored, Some(\"Post 1\")", "hit, Some(\"Post 1\")", "1 entry of author 1 is removed",
            "fwd=miss; stored, Some(\"Renamed\")",
        ]
    );
}

#[tokio::test]
async fn two_tier_example_shows_the_change_of_the_other_process() {
    assert_eq!(
        printed("two_tier").await,
        [
            "the first process: hit; detail=near, Some(\"Post 1\")",
            "the first process: fwd=miss; stored, Some(\"Renamed by the second process\")",
        ]
    );
}

#[tokio::test]
async fn cluster_example_divides_the_posts_into_partitions() {
    let cluster = RedisCluster::shared().await;
    assert_eq!(
        printed_on("cluster", &cluster.url()).await,
        [
            "30 posts are stored in 17 partitions", "10 entries of author 1 are removed", "post 1: fwd=miss; stored",
            "post 2: hit",
        ]
    );
}

#[tokio::test]
async fn axum_example_serves_and_removes_posts() {
    serves_and_removes_posts("axum").await;
}

#[tokio::test]
async fn actix_example_serves_and_removes_posts() {
    serves_and_removes_posts("actix").await;
}

async fn serves_and_removes_posts(name: &str) {
    let redis = redis().await;
    let mut command = tokio::process::Command::from(example(name, &redis.url()));
    let mut server = command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let read = async || {
        let answer = client.get(format!("{url}/posts/1")).send().await.unwrap().error_for_status().unwrap();
        let status = answer.headers()["cache-status"].to_str().unwrap().to_owned();
        (status, answer.text().await.unwrap())
    };
    let (status, body) = read().await;
    assert_eq!((status.as_str(), body.contains("\"Post 1\"")), ("blog; fwd=miss; stored", true), "{body}");
    assert_eq!(read().await, ("blog; hit".to_owned(), body));
    let renamed = client.put(format!("{url}/posts/1")).body("New").send().await.unwrap();
    assert_eq!(renamed.status(), 204);
    let (status, body) = read().await;
    assert_eq!((status.as_str(), body.contains("\"New\"")), ("blog; fwd=miss; stored", true), "{body}");
    assert_eq!(client.get(format!("{url}/posts/99")).send().await.unwrap().status(), 404);
    server.kill().await.unwrap();
}
