//! Each example prints, or serves, what its text says, on a private Redis.

use std::process::{Command, Stdio};

use futures_util::future::join_all;
use testkit::{Redis, RedisCluster, Transport, sibling};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::redis;

/// The maximum number of runs of an example. The examples have the default command timeout of 40 ms, so on a busy machine
/// a run may have to bypass Redis, which changes the output.
const MAX_RUNS: usize = 10;

fn example(name: &str, redis_url: &str) -> tokio::process::Command {
    let mut command = Command::new(sibling(&format!("examples/{name}")));
    command.env("REDIS_URL", redis_url).env("PORT", "0").stdout(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    command
}

/// Runs an example to its end, and returns what it has printed.
async fn output_of(name: &str, redis_url: &str) -> Vec<String> {
    let output = example(name, redis_url).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

/// Asserts that a run returns `expected`.
async fn assert_eventually(expected: &[&str], run: impl AsyncFn() -> Vec<String>) {
    let mut last = Vec::new();
    for _ in 0..MAX_RUNS {
        last = run().await;
        if last == expected {
            return;
        }
    }
    assert_eq!(last, expected);
}

async fn assert_prints(name: &str, expected: &[&str]) {
    assert_eventually(expected, async || output_of(name, &redis().await.url()).await).await;
}

#[tokio::test]
async fn worker_loads_missing_posts_by_one_call() {
    assert_prints(
        "worker",
        &[
            "the database is asked for 101 posts", "101 posts, 1 of them do not exist",
            "101 posts, 1 of them do not exist", "34 entries of author 1 are removed",
            "the database is asked for 34 posts",
        ],
    )
    .await;
}

#[tokio::test]
async fn memory_example_needs_no_redis() {
    assert_prints(
        "memory",
        &[
            "fwd=miss; stored, Some(\"Post 1\")", "hit, Some(\"Post 1\")", "1 entry of author 1 is removed",
            "fwd=miss; stored, Some(\"Renamed\")",
        ],
    )
    .await;
}

#[tokio::test]
async fn tags_example_removes_what_carries_any_or_all_of_them() {
    assert_prints(
        "tags",
        &["2 pages show author 1", "3 pages show author 1 or topic 8", "2 pages show author 2 and topic 7"],
    )
    .await;
}

#[tokio::test]
async fn two_tier_example_shows_the_change_of_the_other_process() {
    assert_prints(
        "two_tier",
        &[
            "the first process: hit; detail=near, Some(\"Post 1\")",
            "the first process: fwd=miss; stored, Some(\"Renamed by the second process\")",
        ],
    )
    .await;
}

#[tokio::test]
async fn cluster_example_divides_the_posts_into_partitions() {
    let cluster = RedisCluster::shared().await;
    let expected = [
        "30 posts are stored in 17 partitions", "10 entries of author 1 are removed", "post 1: fwd=miss; stored",
        "post 2: hit",
    ];
    assert_eventually(&expected, async || output_of("cluster", &cluster.url()).await).await;
}

#[tokio::test]
async fn old_and_new_processes_of_a_rolling_deployment_read_nothing_stale() {
    // The program has a connection of its own, for its rows, which knows no certificates.
    for schemas in [None, Some("same-schema")] {
        let redis = Redis::start_over(Transport::Tcp).await.unwrap();
        let processes = ["old", "new", "old", "new"].map(|version| {
            let mut process = example("rolling_deployment", &redis.url());
            process.arg(version).args(schemas);
            async move { process.output().await.unwrap() }
        });
        for output in join_all(processes).await {
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(output.status.success(), "{text}");
            let counts: Vec<u32> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [hits, loads, writes, stale] = counts[..] else { panic!("{text}") };
            assert!(hits > 0 && loads > writes && writes > 20 && stale == 0, "{text}");
        }
    }
}

#[tokio::test]
async fn axum_example_serves_and_removes_posts() {
    assert_serves_and_removes_posts("axum").await;
}

#[tokio::test]
async fn actix_example_serves_and_removes_posts() {
    assert_serves_and_removes_posts("actix").await;
}

async fn assert_serves_and_removes_posts(name: &str) {
    let expected = [
        "200, blog; fwd=miss; stored, the old title", "200, blog; hit, the old title", "204",
        "200, blog; fwd=miss; stored, the new title", "404",
    ];
    assert_eventually(&expected, async || responses_of(name).await).await;
}

/// Reads a post twice, renames it, and reads it and an unknown one.
async fn responses_of(name: &str) -> Vec<String> {
    let redis = redis().await;
    let mut server = example(name, &redis.url()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let read = async || {
        let response = client.get(format!("{url}/posts/1")).send().await.unwrap();
        let (code, status) = (response.status().as_u16(), response.headers().get("cache-status").cloned());
        let body = response.text().await.unwrap();
        let title = ["old", "new"].into_iter().zip(["\"Post 1\"", "\"New\""]).find(|(_, title)| body.contains(title));
        let status = status.as_ref().map_or("no status", |status| status.to_str().unwrap());
        format!("{code}, {status}, the {} title", title.map_or("unknown", |(age, _)| age))
    };
    let (first, second) = (read().await, read().await);
    let renamed = client.put(format!("{url}/posts/1")).body("New").send().await.unwrap().status();
    let third = read().await;
    let unknown = client.get(format!("{url}/posts/99")).send().await.unwrap().status();
    server.kill().await.unwrap();
    vec![first, second, renamed.as_str().to_owned(), third, unknown.as_str().to_owned()]
}
