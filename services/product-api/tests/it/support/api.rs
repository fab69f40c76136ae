//! The product API as a separate process, and its `/metrics`, parsed.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use testkit::http::Service;
use testkit::{Exit, eventually, service_command};

use super::{SOON, Stores};

/// A running product API. It is killed when this is dropped.
pub(crate) struct Api(Service);

impl Deref for Api {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.0
    }
}

impl Api {
    /// Returns the command that starts it on `stores`, with settings that differ from the defaults.
    pub(crate) fn command(stores: &Stores, settings: &[(&str, &str)]) -> Command {
        let settings = [&[("SEED_PRODUCTS", "130")], settings].concat();
        let program = Path::new(env!("CARGO_BIN_EXE_product-api"));
        service_command(program, &stores.redis, Some(&stores.database), &settings)
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(stores: &Stores, settings: &[(&str, &str)]) -> Self {
        Self(Service::start(&Self::command(stores, settings)).await)
    }

    /// Sends SIGTERM and requires a clean exit.
    pub(crate) async fn stop(self) -> Exit {
        self.0.stop().await
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.get("/metrics").await.expect(200).text())
    }

    /// Returns the version that is in the cache now, if any, without loading.
    pub(crate) async fn cached_version(&self, key: &str) -> Option<i64> {
        let answer = self.get(&format!("/cache/stats/{key}")).await;
        answer.json()["version"].as_i64().filter(|_| answer.status == 200)
    }

    /// Returns whether it has stopped to send commands to Redis.
    pub(crate) async fn has_open_breaker(&self) -> bool {
        self.metrics().await.sum("cache_breaker_open", &[]) == 1.0
    }

    pub(crate) async fn until_redis_is_used(&self) {
        eventually("Redis to be in use", SOON, async || !self.has_open_breaker().await).await;
    }

    pub(crate) async fn until_redis_is_left_alone(&self) {
        eventually("Redis to be left alone", SOON, async || self.has_open_breaker().await).await;
    }

    /// Waits until it receives events over Pub/Sub. A new subscription removes every entry of strategy `events`, on a busy
    /// machine some time after the start.
    pub(crate) async fn until_subscribed(&self) {
        let listener = async || self.readiness().await["checks"]["listener"]["status"].clone();
        eventually("the subscription", SOON, async || listener().await == "ok").await;
    }

    /// Waits until the deferred invalidations are done.
    pub(crate) async fn until_repaired(&self) {
        let pending = async || self.metrics().await.sum("cache_repairs_pending", &[]);
        eventually("the repair of what was deferred", SOON, async || pending().await == 0.0).await;
    }

    /// Returns how many loads `apis` have begun in `lane` so far.
    pub(crate) async fn loads(apis: &[&Self], lane: &str) -> f64 {
        let mut total = 0.0;
        for api in apis {
            total += api.metrics().await.sum("cache_loads_total", &[("lane", lane)]);
        }
        total
    }
}

#[derive(Debug)]
pub(crate) struct Metrics(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

impl Metrics {
    /// Parses the Prometheus text format, and refuses invalid lines.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
            let value = value.parse().unwrap_or_else(|_| panic!("no number in {line:?}"));
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => {
                    (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("an open brace in {line:?}")))
                }
                None => (series, ""),
            };
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "no name in {line:?}");
            Sample { name: name.to_owned(), labels: labels.to_owned(), value }
        });
        Self(samples.collect())
    }

    /// The sum over all series of `name` that carry these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carried = |sample: &&Sample| {
            labels.iter().all(|(label, value)| sample.labels.split(',').any(|it| it == format!("{label}=\"{value}\"")))
        };
        self.0.iter().filter(|sample| sample.name == name).filter(carried).map(|sample| sample.value).sum()
    }

    /// Whether there is any series of `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }
}
