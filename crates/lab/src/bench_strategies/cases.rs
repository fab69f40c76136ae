//! The servers, each with one worker on the same core, and what is asked of them.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fred::clients::Client as RedisClient;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand};
use testkit::{Postgres, Process, Redis, free_port};
use tokio::time::sleep;
use tokio_postgres::NoTls;
use tokio_util::task::AbortOnDropHandle;

use crate::bench::cores;
use crate::demo::metrics::Metrics;
use crate::traffic::Place;

/// The strategies of the product API.
pub(super) const LANES: [&str; 7] = ["ttl", "explicit", "writethrough", "events", "swr", "tags", "production"];
/// The case that others are compared with.
pub(super) const REFERENCE: &str = "get";
/// Products that every case reads and writes.
pub(super) const WARM: u64 = 200;
/// Products that no cache has when their measurement begins.
pub(super) const COLD: u64 = 1_500;
/// Products of each case's own, for the mixed load.
const OWN: u64 = 200;
/// More than there are readers of one entry at once.
const OPEN_FILES: u32 = 4_096;
/// A server that does not answer by then does not work.
const START: Duration = Duration::from_secs(60);

/// One thing that is measured.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What it is called in the report.
    pub(super) name: String,
    /// `http://127.0.0.1:port`
    pub(super) base: String,
    /// What stands before a product's id.
    pub(super) path: String,
    /// What stands before a product's id in the key of its entry, where there are entries.
    pub(super) keys: Option<String>,
    /// Whether it reads the products of the shop.
    pub(super) reads_products: bool,
    /// The first product of its own.
    pub(super) own: u64,
}

impl Case {
    /// Whether it keeps a cache of products.
    pub(super) fn caches(&self) -> bool {
        self.reads_products && self.keys.is_some()
    }

    pub(super) fn warm(&self) -> Place {
        self.place(1, WARM)
    }

    pub(super) fn cold(&self) -> Place {
        self.place(1 + WARM, COLD)
    }

    pub(super) fn own(&self) -> Place {
        self.place(self.own, OWN)
    }

    fn place(&self, first: u64, count: u64) -> Place {
        let (first, count) = if self.reads_products { (first, count) } else { (1, 1) };
        Place { name: self.name.clone(), base: self.base.clone(), path: self.path.clone(), first, count }
    }
}

/// Everything that runs. It ends with this value, and with this process however it ends.
pub(super) struct Stand {
    cases: Vec<Case>,
    pub(super) redis: Redis,
    /// A connection of our own.
    pub(super) client: RedisClient,
    pub(super) http: reqwest::Client,
    pub(super) postgres: Postgres,
    servers: Vec<Process>,
}

/// A lock of the shop's products. It ends with this value.
pub(super) struct Held {
    session: tokio_postgres::Client,
    _connection: AbortOnDropHandle<Result<(), tokio_postgres::Error>>,
}

impl Held {
    pub(super) async fn release(self) -> Result<()> {
        Ok(self.session.batch_execute("COMMIT").await?)
    }
}

impl Stand {
    pub(super) async fn start(server_core: usize, load_core: usize) -> Result<Self> {
        cores::pin(std::process::id(), load_core)?;
        cores::allow_open_files(OPEN_FILES)?;
        let (postgres, redis) = tokio::try_join!(Postgres::start(), Redis::start())?;
        cores::pin(redis.pid(), load_core)?;
        cores::pin(postgres.pid(), load_core)?;
        let client = Builder::from_config(Config::from_url(&redis.url())?).build()?;
        client.init().await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut stand = Self { cases: Vec::new(), redis, client, http, postgres, servers: Vec::new() };

        let shop = stand.postgres.create_database("shop_db").await?;
        let base = stand.product_api(&shop, server_core).await?;
        let product =
            stand.http.get(format!("{base}/products/ttl/1")).send().await?.error_for_status()?.bytes().await?;
        stand.client.set::<(), _, _>("baseline:1", product.as_ref(), None, None, false).await?;
        for mode in ["constant", REFERENCE] {
            let base = stand.baseline(mode, &[], server_core).await?;
            stand.add(mode, &base, "/", None, false);
        }
        stand.add("no cache", &base, "/products/", None, true);
        let naive = stand.baseline("naive", &["--postgres", &shop], server_core).await?;
        stand.add("naive", &naive, "/", Some("naive:".to_owned()), true);
        for lane in LANES {
            stand.add(lane, &base, &format!("/products/{lane}/"), Some(format!("product:{lane}:")), true);
        }
        Ok(stand)
    }

    /// In the order in which they are measured.
    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// How often the database was read for a case so far; `None` where nobody counts.
    pub(super) async fn loads(&self, case: &Case) -> Result<Option<u64>> {
        if !case.caches() {
            return Ok(None);
        }
        let answer = self.http.get(format!("{}/metrics", case.base)).send().await?.error_for_status()?;
        Ok(Some(Metrics::parse(&answer.text().await?).loads(&case.name)))
    }

    /// Waits until all changes so far have been announced, which takes commands of Redis as well.
    pub(super) async fn settle(&self) -> Result<()> {
        let began = Instant::now();
        while self.postgres.sql("shop_db", "SELECT count(*) FROM outbox WHERE done_at IS NULL").await? != "0" {
            ensure!(began.elapsed() < START, "changes are not announced");
            sleep(Duration::from_millis(50)).await;
        }
        // What was announced is carried out a moment later.
        sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    /// Removes the entries of these products behind the server's back.
    pub(super) async fn forget(&self, case: &Case, place: &Place) -> Result<()> {
        let Some(keys) = &case.keys else { return Ok(()) };
        let keys: Vec<String> = (place.first..place.first + place.count).map(|id| format!("{keys}{id}")).collect();
        Ok(self.client.unlink::<(), _>(keys).await?)
    }

    /// From now on nobody can read a product from the database, until it is released.
    pub(super) async fn hold_loads(&self) -> Result<Held> {
        let (session, connection) = tokio_postgres::connect(&self.postgres.url("shop_db"), NoTls).await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        session.batch_execute("BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE").await?;
        Ok(Held { session, _connection: connection })
    }

    /// What Redis says of itself: the number after this name in a section of `INFO`.
    pub(super) async fn info(&self, section: &'static str, names: &[&str]) -> Result<Vec<u64>> {
        let command = CustomCommand::new_static("INFO", ClusterHash::FirstKey, false);
        let text: String = self.client.custom(command, vec![section]).await?;
        let value = |name: &&str| {
            let line = text.lines().find_map(|line| line.strip_prefix(*name)?.strip_prefix(':'));
            line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("INFO does not say {name}"))
        };
        names.iter().map(value).collect()
    }

    /// Starts one more product API, ready to serve.
    pub(super) async fn product_api(&mut self, shop: &str, core: usize) -> Result<String> {
        let port = free_port().to_string();
        let mut command = cores::command_on(core, crate::world::programs()?.join("product-api"));
        command.envs([("HTTP__WORKERS", "1"), ("HTTP__HOST", "127.0.0.1"), ("HTTP__PORT", &port)]);
        command.envs([("POSTGRES__URL", shop), ("REDIS__URL", &self.redis.url()), ("LOG__FILTER", "warn")]);
        command.env("SEED_PRODUCTS", (1 + WARM + COLD + OWN * (LANES.len() as u64 + 2)).to_string());
        // A core that is shared with all the load is late at times; that is not what is measured.
        command.env("REDIS__COMMAND_TIMEOUT", "500ms");
        // Nobody's hits need it, and its commands would be counted as theirs.
        command.env("REDIS__SWEEP_REST", "1h");
        let base = format!("http://127.0.0.1:{port}");
        self.serve(&command, &format!("{base}/readyz")).await?;
        Ok(base)
    }

    async fn baseline(&mut self, mode: &str, more: &[&str], core: usize) -> Result<String> {
        let port = free_port().to_string();
        let mut command = cores::command_on(core, crate::world::programs()?.join("baseline"));
        command.args([mode, "--port", &port, "--redis", &self.redis.url()]).args(more);
        let base = format!("http://127.0.0.1:{port}");
        self.serve(&command, &format!("{base}/1")).await?;
        Ok(base)
    }

    async fn serve(&mut self, command: &Command, url: &str) -> Result<()> {
        let process = Process::start(command)?;
        process.wait_for_http(url, START).await?;
        self.servers.push(process);
        Ok(())
    }

    fn add(&mut self, name: &str, base: &str, path: &str, keys: Option<String>, reads_products: bool) {
        let own = 1 + WARM + COLD + OWN * self.cases.iter().filter(|case| case.reads_products).count() as u64;
        let (name, base, path) = (name.to_owned(), base.to_owned(), path.to_owned());
        self.cases.push(Case { name, base, path, keys, reads_products, own });
    }
}
