//! What every test here is made of: a row, loads that the test steps through, and nodes that read it.

mod node;
mod row;

use std::time::Duration;

use cache::{CacheSettings, Policy, Tag};
use testkit::Redis;

pub(crate) use node::{Node, Reading};
pub(crate) use row::{DatabaseError, Gate, Load, Loader, Row};
pub(crate) use testkit::Proxy;

/// The longest that a test waits for what must happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Longer than that: who waits for something that lasts so long is found out.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Settings for a Redis that answers: a busy machine is not a dead server. There is no sweep, unless a test wants one.
pub(crate) fn settings(url: String) -> CacheSettings {
    CacheSettings {
        url,
        command_timeout: Duration::from_secs(5),
        load_queue: LONG,
        sweep_rest: 60 * LONG,
        ..CacheSettings::default()
    }
}

/// Nothing ends by itself while a test runs.
pub(crate) fn patient() -> Policy {
    Policy::new(LONG).negative_ttl(LONG).lease(LONG).wait(2 * LONG)
}

/// A tag that tests hang entries on.
pub(crate) fn shelf(id: u32) -> Tag {
    Tag::new("shelf", id)
}

/// A Redis that only this test uses.
pub(crate) async fn redis() -> Redis {
    Redis::start().await.unwrap()
}

/// How many of `names` exist in Redis.
pub(crate) async fn existing(redis: &Redis, names: &[&str]) -> u64 {
    redis.cli(&[&["EXISTS"], names].concat()).await.unwrap().parse().unwrap()
}

/// The number that a command of `redis-cli` prints.
pub(crate) async fn number(redis: &Redis, command: &[&str]) -> i64 {
    redis.cli(command).await.unwrap().parse().unwrap()
}

/// How often Redis has run `command` so far.
pub(crate) async fn calls(redis: &Redis, command: &str) -> u64 {
    let stats = redis.cli(&["INFO", "commandstats"]).await.unwrap();
    let line = format!("cmdstat_{command}:calls=");
    let count = stats.lines().find_map(|found| found.strip_prefix(line.as_str())?.split(',').next()?.parse().ok());
    count.unwrap_or(0)
}

/// Redis, at the other end of a wire.
pub(crate) fn through(proxy: &Proxy) -> String {
    format!("redis://127.0.0.1:{}", proxy.port())
}
