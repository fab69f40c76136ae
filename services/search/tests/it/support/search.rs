//! The search as a process of its own.

use std::path::Path;
use std::process::Command;

use reqwest::Client;
use tempfile::TempDir;
use testkit::{Process, eventually};

use super::shop::address;
use super::{Answer, SOON, Shop};

/// A running search. It is killed when this is dropped, and its index is removed.
pub(crate) struct Search {
    pub(crate) process: Process,
    directory: Option<TempDir>,
    url: String,
    client: Client,
}

impl Search {
    /// Starts it over `shop` and waits until it is ready.
    pub(crate) async fn of(shop: &Shop) -> Self {
        Self::with(shop, &[]).await
    }

    /// As `of`, with settings of its own.
    pub(crate) async fn with(shop: &Shop, settings: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let search = Self::start(shop, directory, settings).await;
        search.until_ready().await;
        search
    }

    /// Starts it on an index of before, or on an empty directory; does not wait until it is ready.
    pub(crate) async fn start(shop: &Shop, directory: TempDir, settings: &[(&str, &str)]) -> Self {
        let process = Process::start(&command(shop, directory.path(), settings)).expect("the binary has been built");
        let url = address(&process, "the search listens address=").await;
        let client = Client::builder().no_proxy().timeout(SOON).build().expect("a plain client");
        Self { process, directory: Some(directory), url, client }
    }

    pub(crate) async fn until_ready(&self) {
        let url = format!("{}/readyz", self.url);
        self.process.wait_for_http(&url, SOON).await.expect("it gets ready");
    }

    /// Ends it by `kill -9` and returns its index.
    pub(crate) async fn kill(mut self) -> TempDir {
        self.process.kill9().await.expect("it is killed");
        self.directory.take().expect("it is taken once")
    }

    pub(crate) fn index(&self) -> &Path {
        self.directory.as_ref().expect("it is there until the end").path()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        Answer::read(answer).await
    }

    /// Searches with these parameters.
    pub(crate) async fn ask(&self, parameters: &[(&str, &str)]) -> Answer {
        let request = self.client.get(format!("{}/search", self.url)).query(parameters);
        Answer::read(request.send().await.expect("an answer")).await
    }

    /// Searches for `q` and expects an answer.
    pub(crate) async fn find(&self, q: &str) -> Answer {
        self.ask(&[("q", q)]).await.expect(200)
    }

    /// Waits until a search for `q` finds exactly these, in this order.
    pub(crate) async fn until_found(&self, q: &str, names: &[&str]) {
        let what = format!("a search for {q:?} to find {names:?}");
        eventually(&what, SOON, async || self.find(q).await.names() == names).await;
    }

    /// Waits until every event up to now is in the index.
    pub(crate) async fn until_current(&self, shop: &Shop) {
        let events = "SELECT count(*) = 0 FROM outbox WHERE done_at IS NULL";
        eventually("the relay", SOON, async || shop.sql(events).await == "t").await;
        let head = shop.sql("SELECT seq FROM outbox_head").await;
        let head: u64 = head.parse().expect("a number");
        eventually("the index to be current", SOON, async || self.position().await >= head).await;
    }

    /// The number of the last event in the index.
    pub(crate) async fn position(&self) -> u64 {
        // Without a cache in between: signs find nothing.
        self.find("!").await.json()["index"]["position"].as_u64().expect("a position")
    }

    /// The sum over all series of a metric.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.expect(200).text();
        let series = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

/// The command that starts it.
pub(crate) fn command(shop: &Shop, directory: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_search"));
    command.env_remove("CONFIG_FILE").envs([
        ("HTTP__PORT", "0"),
        ("HTTP__WORKERS", "1"),
        ("LOG__FILTER", "info"),
        ("REDIS__URL", shop.redis.url().as_str()),
        // A busy machine must not look like a Redis that is down.
        ("REDIS__COMMAND_TIMEOUT", "2s"),
        ("PRODUCT_API__URL", &shop.url),
    ]);
    command.env("INDEX__PATH", directory).envs(settings.iter().copied());
    command
}
