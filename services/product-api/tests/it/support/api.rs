//! The product API as a process of its own.

use std::process::Command;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use testkit::{Exit, Process, eventually};

use super::{Answer, Metrics, SOON, Stores};

/// Settings of every test, unless it says otherwise. A busy machine must not look like a Redis that is down.
const DEFAULTS: [(&str, &str); 7] = [
    ("HTTP__HOST", "127.0.0.1"),
    ("HTTP__PORT", "0"),
    ("HTTP__WORKERS", "2"),
    ("LOG__FILTER", "info"),
    ("POSTGRES__MAX_CONNECTIONS", "8"),
    ("REDIS__COMMAND_TIMEOUT", "2s"),
    ("SEED_PRODUCTS", "130"),
];

/// A running product API. It is killed when this is dropped.
pub(crate) struct Api {
    pub(crate) process: Process,
    url: String,
    client: Client,
}

impl Api {
    /// The command that starts it over `stores`, with settings that differ from the defaults.
    pub(crate) fn command(stores: &Stores, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_product-api"));
        command.env_remove("CONFIG_FILE").envs(DEFAULTS);
        command.env("POSTGRES__URL", stores.database_url()).env("REDIS__URL", stores.redis.url());
        command.envs(settings.iter().copied());
        command
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(stores: &Stores, settings: &[(&str, &str)]) -> Self {
        let process = Process::start(&Self::command(stores, settings)).expect("the binary has been built");
        let url = eventually("the address that it listens at", SOON, async || {
            assert!(process.is_alive(), "it ended:\n{}", process.output());
            let (_, rest) = process.output().split_once("the product API is ready address=").map(owned)?;
            rest.split_once('\n').map(|(address, _)| format!("http://{}", address.trim()))
        })
        .await;
        process.wait_for_http(&format!("{url}/readyz"), SOON).await.expect("it gets ready");
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(3 * SOON).build();
        Self { process, url, client: client.expect("a plain client") }
    }

    /// A request to be made by hand.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// `host:port`, for those who speak HTTP themselves.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request(Method::DELETE, path)).await
    }

    /// Sends a request that must be answered, whatever the answer.
    pub(crate) async fn send(request: RequestBuilder) -> Answer {
        Self::try_send(request).await.expect("an answer")
    }

    /// Sends a request that may find nobody.
    pub(crate) async fn try_send(request: RequestBuilder) -> reqwest::Result<Answer> {
        Answer::read(request.send().await?).await
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.get("/metrics").await.expect(200).text())
    }

    /// The version that lies in the cache now, if any does; looks without loading.
    pub(crate) async fn cached_version(&self, key: &str) -> Option<i64> {
        let answer = self.get(&format!("/cache/stats/{key}")).await;
        answer.json()["version"].as_i64().filter(|_| answer.status == 200)
    }

    /// SIGTERM; it must end in good order.
    pub(crate) async fn stop(self) -> Exit {
        self.process.term().await.expect("it ends")
    }
}

fn owned((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

/// How many loads `apis` have begun in `lane` so far.
impl Api {
    pub(crate) async fn loads(apis: &[&Self], lane: &str) -> f64 {
        let mut total = 0.0;
        for api in apis {
            total += api.metrics().await.sum("cache_loads_total", &[("lane", lane)]);
        }
        total
    }
}
