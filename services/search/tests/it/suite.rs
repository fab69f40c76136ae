//! The tests that every service passes.

use std::process::Command;

use tempfile::TempDir;
use testkit::http::Service;
use testkit::suite::Subject;
use testkit::{Redis, eventually};

use crate::support::{Product, SOON, Shop, command};

testkit::suite!(SearchSubject);
testkit::suite!(SearchSubject: redis_states_are_named_by_readyz_and_cause_no_5xx);

/// The search over a real product API with one product.
struct SearchSubject {
    shop: Option<Shop>,
    directory: TempDir,
}

impl Subject for SearchSubject {
    const NAME: &'static str = "search";
    const OPERATIONS: &'static [&'static str] = &[
        "get /cache/entries", "get /cache/feed", "get /cache/near/{key}", "get /cache/stats/{key}", "get /search",
        "head /cache/entries", "head /cache/feed", "head /cache/near/{key}", "head /cache/stats/{key}", "head /search",
        "post /cache/invalidations",
    ];
    const SHARED_SECTIONS: &'static [&'static str] = &["EVENTS", "PRODUCT_API"];
    const INVALID_SETTINGS: &'static [(&'static str, &'static str, &'static str)] =
        &[("INDEX__MEMORY", "1", ""), ("INDEX__PAHT", "x", "did you mean INDEX__PATH")];
    const HOSTILE_SEED: u64 = 3;

    async fn prepare() -> Self {
        let shop = Shop::start().await;
        shop.create(&[Product { name: "Moss Lamp", ..Product::default() }]).await;
        Self { shop: Some(shop), ..Self::prepare_stores().await }
    }

    async fn prepare_stores() -> Self {
        Self { shop: None, directory: TempDir::new().expect("a directory") }
    }

    fn command(&self, settings: &[(&str, &str)]) -> Command {
        if let Some(shop) = &self.shop {
            return command(shop, self.directory.path(), settings);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_search"));
        command.env_remove("CONFIG_FILE").env("HTTP__PORT", "0").env("INDEX__PATH", self.directory.path());
        command.envs(settings.iter().copied());
        command
    }

    async fn fill(&self, service: &Service) -> Vec<(&'static str, String)> {
        eventually("the page to be cached", SOON, async || {
            service.get("/search?q=moss").await.expect(200).source().starts_with("hit")
        })
        .await;
        let redis = &self.shop.as_ref().expect("it was prepared").redis;
        let keys = redis.cli(&["--scan", "--pattern", "search:page:*"]).await.expect("the test's own command");
        let key = keys.lines().next().expect("a page is cached").to_owned();
        vec![("key", key), ("/search", "?q=moss".to_owned())]
    }

    fn hostile_paths(_: &[(&'static str, String)]) -> Vec<String> {
        ["/search", "/search", "/search?q=moss", "/search?q=%F0%9F%98%80"].map(str::to_owned).to_vec()
    }

    fn redis(&self) -> Option<&Redis> {
        self.shop.as_ref().map(|shop| &shop.redis)
    }
}
