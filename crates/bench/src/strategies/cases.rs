//! The servers, each with one worker on the same core, and their cases.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use client::traffic::ProductRange;
use client::{Metrics, Source};
use contract::STRATEGY_NAMES;
use fred::clients::Client as RedisClient;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand};
use testkit::{ChildProcess, Postgres, Redis, free_port, sibling};
use tokio::time::sleep;
use tokio_postgres::NoTls;
use tokio_util::task::AbortOnDropHandle;

use crate::wrk;

/// The case with which the others are compared.
pub(super) const REFERENCE: &str = "get";
/// Products that every case reads and writes.
pub(super) const WARM: u64 = 200;
/// Products that no cache holds when their measurement begins.
pub(super) const COLD: u64 = 1_500;
/// Products that only one case uses, for the mixed load.
const OWN: u64 = 200;
/// The limit of open files: more than the number of concurrent readers of one entry.
const OPEN_FILES: u32 = 4_096;
/// Postgres publishes the counters of an idle session after 10 s at the latest.
const COUNTED: Duration = Duration::from_secs(11);
/// Maximum time for a server to start.
const START: Duration = Duration::from_secs(60);

/// KEYS: the prefix of the entries' keys. ARGV: the first and the last id. Returns bytes and entries, as `a/b`. An
/// entry's share of a tag set, and of the registry, is as large as that of any other member.
const MEMORY: &str = "
    local function usage(key) return redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0 end
    local shares, bytes, entries = {}, 0, 0
    local registry = 'product:~registered'
    local registered = usage(registry) / math.max(1, redis.call('ZCARD', registry))
    local lane = string.match(KEYS[1], '^product:(.*)$')
    for id = ARGV[1], ARGV[2] do
      local key = KEYS[1] .. string.format('%d', id)
      local value = redis.call('GET', key)
      if value and (not lane or string.sub(value, 1, 1) == 'V') then
        bytes, entries = bytes + usage(key), entries + 1
        local tags = lane and string.match(string.match(value, '^[^\\n]*'), ' tags=(%S+)') or ''
        for tag in string.gmatch(tags, '[^,]+') do
          local set = 'product:~tag:' .. tag
          if not shares[set] then shares[set] = usage(set) / math.max(1, redis.call('SCARD', set)) end
          if redis.call('SISMEMBER', set, string.sub(key, 9)) == 1 then bytes = bytes + shares[set] end
        end
        if redis.call('ZSCORE', registry, string.sub(key, 9) .. ' ' .. tags) then bytes = bytes + registered end
      end
    end
    return string.format('%.0f/%d', bytes, entries)";

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// `http://127.0.0.1:port`
    pub(super) base: String,
    /// The process that serves it.
    pub(super) pid: u32,
    /// The path before a product's id.
    pub(super) path: String,
    /// The key of an entry before the product's id, if the case has entries.
    pub(super) keys: Option<String>,
    pub(super) reads_products: bool,
    /// The first product that only this case uses.
    pub(super) own: u64,
}

impl Case {
    /// Returns whether the case caches products.
    pub(super) fn caches(&self) -> bool {
        self.reads_products && self.keys.is_some()
    }

    /// Returns the source of responses that are read from the database.
    pub(super) fn worst(&self) -> Source {
        if self.caches() { Source::Miss } else { Source::Uncached }
    }

    pub(super) fn warm(&self) -> ProductRange {
        self.products(1, WARM)
    }

    pub(super) fn cold(&self) -> ProductRange {
        self.products(1 + WARM, COLD)
    }

    pub(super) fn own(&self) -> ProductRange {
        self.products(self.own, OWN)
    }

    fn products(&self, first: u64, count: u64) -> ProductRange {
        let (first, count) = if self.reads_products { (first, count) } else { (1, WARM) };
        ProductRange { name: self.name.clone(), base: self.base.clone(), path: self.path.clone(), first, count }
    }
}

/// All processes of the benchmark. They end when this value is dropped, and when this process ends for any reason.
pub(super) struct TestBench {
    cases: Vec<Case>,
    pub(super) redis: Redis,
    /// A Redis connection of the benchmark itself.
    pub(super) client: RedisClient,
    pub(super) http: reqwest::Client,
    pub(super) postgres: Postgres,
    servers: Vec<ChildProcess>,
}

/// A lock on the shop's products. It is released when this value is dropped.
pub(super) struct Held {
    session: tokio_postgres::Client,
    _connection: AbortOnDropHandle<Result<(), tokio_postgres::Error>>,
}

impl Held {
    pub(super) async fn release(self) -> Result<()> {
        Ok(self.session.batch_execute("COMMIT").await?)
    }
}

impl TestBench {
    pub(super) async fn start(server_core: usize, load_core: usize) -> Result<Self> {
        wrk::pin(std::process::id(), load_core)?;
        client::allow_open_files(OPEN_FILES)?;
        let (postgres, redis) = tokio::try_join!(Postgres::start(), Redis::start())?;
        wrk::pin(redis.pid(), load_core)?;
        wrk::pin(postgres.pid(), load_core)?;
        let client = Builder::from_config(Config::from_url(&redis.url())?).build()?;
        client.init().await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut bench = Self { cases: Vec::new(), redis, client, http, postgres, servers: Vec::new() };

        let shop = bench.postgres.create_database("shop_db").await?;
        let api = bench.product_api(&shop, server_core, &[]).await?;
        let length = bench.copy_products(&api.0).await?;
        for (mode, more) in [("constant", vec!["--length", &length]), (REFERENCE, vec![])] {
            let server = bench.baseline(mode, &more, server_core).await?;
            bench.add(mode, &server, "/", None, false);
        }
        bench.add("no cache", &api, "/products/", None, true);
        let naive = bench.baseline("naive", &["--postgres", &shop], server_core).await?;
        bench.add("naive", &naive, "/", Some("naive:".to_owned()), true);
        for lane in STRATEGY_NAMES {
            bench.add(lane, &api, &format!("/products/{lane}/"), Some(format!("product:{lane}:")), true);
        }
        Ok(bench)
    }

    /// Stores the bodies that the bare `GET` returns, which are those of the strategies. Returns their average length.
    async fn copy_products(&self, base: &str) -> Result<String> {
        let mut length = 0;
        for id in 1..=WARM {
            let product =
                self.http.get(format!("{base}/products/{id}")).send().await?.error_for_status()?.bytes().await?;
            length += product.len() as u64;
            self.client.set::<(), _, _>(format!("baseline:{id}"), product.as_ref(), None, None, false).await?;
        }
        Ok((length / WARM).to_string())
    }

    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Returns the cases in the order of a round. Each round begins with another case, so that a case does not always
    /// follow the same other case.
    pub(super) fn in_turn(&self, round: u32) -> Vec<&Case> {
        let first = round as usize * 4 % self.cases.len();
        self.cases[first..].iter().chain(&self.cases[..first]).collect()
    }

    pub(super) fn reference(&self) -> &Case {
        self.cases.iter().find(|case| case.name == REFERENCE).expect("it is one of the cases")
    }

    /// Returns the memory per entry of these products in bytes: the key with everything that Redis keeps for it, and
    /// its share of the tag sets and the registry that name it. The fence is not counted: it grows with the number of
    /// invalidations, not with the number of entries.
    pub(super) async fn entry_bytes(&self, case: &Case, products: &ProductRange) -> Result<f64> {
        let keys = case.keys.as_deref().context("the case has no entries")?;
        let (first, last) = (products.first.to_string(), (products.first + products.count - 1).to_string());
        let reply = self.redis.cli(&["EVAL", MEMORY, "1", keys, &first, &last]).await?;
        let (bytes, entries) = reply.split_once('/').with_context(|| format!("Redis said {reply:?}"))?;
        ensure!(entries.trim() != "0", "{}: there are no entries", case.name);
        Ok(bytes.trim().parse::<f64>()? / entries.trim().parse::<f64>()?)
    }

    /// Returns how often Postgres has looked up a product so far. Postgres publishes the work of idle sessions some
    /// seconds later, so this waits.
    pub(super) async fn products_looked_up(&self) -> Result<u64> {
        sleep(COUNTED).await;
        let sql = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'products_pkey'";
        Ok(self.postgres.sql("shop_db", sql).await?.trim().parse()?)
    }

    /// Returns how often the database was read for a case so far, or `None` if the case does not count that.
    pub(super) async fn loads(&self, case: &Case) -> Result<Option<u64>> {
        if !case.caches() {
            return Ok(None);
        }
        Ok(Some(Metrics::fetch(&self.http, &case.base).await?.loads(&case.name)))
    }

    /// Waits until all changes so far have been published, because that takes commands of Redis as well.
    pub(super) async fn settle(&self) -> Result<()> {
        let began = Instant::now();
        while self.postgres.sql("shop_db", "SELECT count(*) FROM outbox WHERE done_at IS NULL").await? != "0" {
            ensure!(began.elapsed() < START, "changes are not announced");
            sleep(Duration::from_millis(50)).await;
        }
        // Published events are applied a moment later.
        sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    /// Removes the entries of these products directly in Redis, without the server.
    pub(super) async fn forget(&self, case: &Case, products: &ProductRange) -> Result<()> {
        let Some(keys) = &case.keys else { return Ok(()) };
        let keys: Vec<String> =
            (products.first..products.first + products.count).map(|id| format!("{keys}{id}")).collect();
        Ok(self.client.unlink::<(), _>(keys).await?)
    }

    /// Prevents all reads of products from the database until the lock is released.
    pub(super) async fn hold_loads(&self) -> Result<Held> {
        let (session, connection) = tokio_postgres::connect(&self.postgres.url("shop_db"), NoTls).await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        session.batch_execute("BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE").await?;
        Ok(Held { session, _connection: connection })
    }

    /// Returns the numbers with these names in a section of Redis' `INFO`.
    pub(super) async fn info(&self, section: &'static str, names: &[&str]) -> Result<Vec<u64>> {
        let command = CustomCommand::new_static("INFO", ClusterHash::FirstKey, false);
        let text: String = self.client.custom(command, vec![section]).await?;
        let value = |name: &&str| {
            let line = text.lines().find_map(|line| line.strip_prefix(*name)?.strip_prefix(':'));
            line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("INFO does not say {name}"))
        };
        names.iter().map(value).collect()
    }

    /// Starts a further product API with these further settings, and waits until it is ready.
    pub(super) async fn product_api(
        &mut self, shop: &str, core: usize, settings: &[(&str, &str)],
    ) -> Result<(String, u32)> {
        let port = free_port().to_string();
        let mut command = wrk::command_on(core, sibling("product-api"));
        command.envs([("HTTP__WORKERS", "1"), ("HTTP__HOST", "127.0.0.1"), ("HTTP__PORT", &port)]);
        command.envs([("POSTGRES__URL", shop), ("REDIS__URL", &self.redis.url()), ("LOG__FILTER", "warn")]);
        command.env("SEED_PRODUCTS", (1 + WARM + COLD + OWN * (STRATEGY_NAMES.len() as u64 + 2)).to_string());
        // On a core that is shared with all the load, Redis responds late at times; the benchmark does not measure
        // that.
        command.env("REDIS__COMMAND_TIMEOUT", "500ms");
        // Hits do not need the sweep, and its commands would be counted as theirs.
        command.env("REDIS__SWEEP_REST", "1h");
        command.envs(settings.iter().copied());
        let base = format!("http://127.0.0.1:{port}");
        let pid = self.serve(&command, &format!("{base}/readyz")).await?;
        Ok((base, pid))
    }

    pub(super) async fn baseline(&mut self, mode: &str, more: &[&str], core: usize) -> Result<(String, u32)> {
        let port = free_port().to_string();
        let mut command = wrk::command_on(core, sibling("baseline"));
        command.args([mode, "--port", &port, "--redis", &self.redis.url()]).args(more);
        let base = format!("http://127.0.0.1:{port}");
        let ready = if mode == "get-entry" { "10000000" } else { "1" };
        let pid = self.serve(&command, &format!("{base}/{ready}")).await?;
        Ok((base, pid))
    }

    /// Starts a server with the cache of another project.
    pub(super) async fn peer(&mut self, mode: &str, core: usize) -> Result<(String, u32)> {
        let port = free_port().to_string();
        let mut command = wrk::command_on(core, sibling("peers"));
        command.args([mode, "--port", &port, "--redis", &self.redis.url()]);
        let base = format!("http://127.0.0.1:{port}");
        let pid = self.serve(&command, &format!("{base}/1")).await?;
        Ok((base, pid))
    }

    async fn serve(&mut self, command: &Command, url: &str) -> Result<u32> {
        let process = ChildProcess::start(command)?;
        process.wait_for_http(url, START).await?;
        let pid = process.pid();
        self.servers.push(process);
        Ok(pid)
    }

    /// Ends the servers that were started last, until `count` are left.
    pub(super) fn keep_servers(&mut self, count: usize) {
        self.servers.truncate(count);
    }

    pub(super) fn servers(&self) -> usize {
        self.servers.len()
    }

    fn add(&mut self, name: &str, server: &(String, u32), path: &str, keys: Option<String>, reads_products: bool) {
        let own = 1 + WARM + COLD + OWN * self.cases.iter().filter(|case| case.reads_products).count() as u64;
        let (name, path, (base, pid)) = (name.to_owned(), path.to_owned(), server.clone());
        self.cases.push(Case { name, base, pid, path, keys, reads_products, own });
    }
}
