//! The product API as a separate process.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use testkit::http::Service;
use testkit::{Exit, service_command};

use super::{Metrics, Stores};

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

    /// Returns how many loads `apis` have begun in `lane` so far.
    pub(crate) async fn loads(apis: &[&Self], lane: &str) -> f64 {
        let mut total = 0.0;
        for api in apis {
            total += api.metrics().await.sum("cache_loads_total", &[("lane", lane)]);
        }
        total
    }
}
