//! The search service as a separate process.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use testkit::http::{Service, TestResponse};
use testkit::{eventually, service_command};

use super::{SOON, Shop};

/// A running search process. Dropping it kills the process and removes its index.
pub(crate) struct Search {
    service: Service,
    directory: Option<TempDir>,
}

/// Reads the parts of a result page.
pub(crate) trait Found {
    /// Returns the names of the products on the page, in order.
    fn names(&self) -> Vec<String>;
    /// Returns the ids of the products on the page, in order.
    fn ids(&self) -> Vec<i64>;
    /// Returns the number of products on all pages.
    fn total(&self) -> u64;
}

impl Found for TestResponse {
    #[track_caller]
    fn names(&self) -> Vec<String> {
        hits(&self.json()).iter().map(|hit| hit["name"].as_str().expect("a name").to_owned()).collect()
    }

    #[track_caller]
    fn ids(&self) -> Vec<i64> {
        hits(&self.json()).iter().map(|hit| hit["id"].as_i64().expect("an id")).collect()
    }

    #[track_caller]
    fn total(&self) -> u64 {
        self.json()["total"].as_u64().unwrap_or_else(|| panic!("no total in {}", self.text()))
    }
}

#[track_caller]
fn hits(page: &Value) -> &[Value] {
    page["hits"].as_array().unwrap_or_else(|| panic!("no hits in {page}"))
}

impl Deref for Search {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Search {
    /// Starts a search over `shop`, and waits until it is ready.
    pub(crate) async fn of(shop: &Shop) -> Self {
        Self::with(shop, &[]).await
    }

    /// Starts a search like `of`, with additional settings.
    pub(crate) async fn with(shop: &Shop, settings: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let search = Self::start(shop, directory, settings).await;
        search.ready().await;
        search
    }

    /// Starts a search on an existing index or an empty directory, and does not wait until it is ready.
    pub(crate) async fn start(shop: &Shop, directory: TempDir, settings: &[(&str, &str)]) -> Self {
        let service = Service::start_without_waiting(&command(shop, directory.path(), settings)).await;
        Self { service, directory: Some(directory) }
    }

    /// Kills the process with `kill -9`, and returns its index.
    pub(crate) async fn kill(mut self) -> TempDir {
        self.process.kill9().await.expect("it is killed");
        self.directory.take().expect("it is taken once")
    }

    pub(crate) fn index(&self) -> &Path {
        self.directory.as_ref().expect("it is there until the end").path()
    }

    /// Returns all pages of the result, in order.
    pub(crate) async fn pages(&self, parameters: &[(&str, &str)]) -> Vec<TestResponse> {
        let (mut pages, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let cursor_parameter = cursor.as_deref().map(|cursor| ("cursor", cursor));
            let parameters: Vec<_> = parameters.iter().copied().chain(cursor_parameter).collect();
            let page = self.ask(&parameters).await.expect(200);
            cursor = page.json()["next_cursor"].as_str().map(str::to_owned);
            pages.push(page);
            if cursor.is_none() {
                return pages;
            }
        }
    }

    pub(crate) async fn ask(&self, parameters: &[(&str, &str)]) -> TestResponse {
        Service::send(self.request(Method::GET, "/search").query(parameters)).await
    }

    /// Searches for `q`, and expects a result page.
    pub(crate) async fn find(&self, q: &str) -> TestResponse {
        self.ask(&[("q", q)]).await.expect(200)
    }

    /// Waits until a search for `q` finds exactly these products, in this order.
    pub(crate) async fn until_found(&self, q: &str, names: &[&str]) {
        let what = format!("a search for {q:?} to find {names:?}");
        eventually(&what, SOON, async || self.find(q).await.names() == names).await;
    }

    /// Waits until the page for `parameters` is a hit, current or marked as stale, and returns it.
    pub(crate) async fn cached(&self, parameters: &[(&str, &str)]) -> TestResponse {
        eventually(&format!("the page of {parameters:?} to be cached"), SOON, async || {
            let answer = self.ask(parameters).await.expect(200);
            answer.source().starts_with("hit").then_some(answer)
        })
        .await
    }

    /// Waits until the index includes every event up to now.
    pub(crate) async fn until_current(&self, shop: &Shop) {
        shop.database.until_published().await;
        let head = shop.database.last_event().await;
        eventually("the index to be current", SOON, async || self.position().await >= head).await;
    }

    /// Returns the number of the last event in the index.
    pub(crate) async fn position(&self) -> u64 {
        // Each response has the current position, even when the page is a hit. A query of signs matches no product.
        self.find("!").await.json()["index"]["position"].as_u64().expect("a position")
    }
}

/// Returns the command that starts a search.
pub(crate) fn command(shop: &Shop, directory: &Path, settings: &[(&str, &str)]) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_search"));
    let index = directory.to_str().expect("a plain path");
    let defaults = [("HTTP__WORKERS", "1"), ("PRODUCT_API__URL", shop.api.url()), ("INDEX__PATH", index)];
    service_command(program, &shop.redis, None, &[&defaults, settings].concat())
}

/// Starts a shop, and a search over it that is ready.
pub(crate) async fn started() -> (Shop, Search) {
    let shop = Shop::start().await;
    let search = Search::of(&shop).await;
    (shop, search)
}
