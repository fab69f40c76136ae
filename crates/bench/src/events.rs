//! Measures how long a committed change takes until it is gone from every cache, and how many changes per second the
//! relay processes.
//!
//! The four services and their private stores share this machine's cores with the load. There are two parts:
//!
//! * **delay**: writes at a steady rate through the product API (open loop: a late response delays no later write).
//!   Some of the products, the probes, have an entry in the cache of every service. For each write of a probe, the
//!   benchmark measures per service the time until Redis removes the entry, as reported by Redis itself (keyspace
//!   notifications). The time of the COMMIT itself is not visible outside of Postgres, but it lies between the request
//!   and the response: the time from the request is an upper bound of the delay, and the time from the response is a
//!   lower bound. A request counts from when it was due; the entries are filled some time before that. A probe whose
//!   entries were gone before it was sent proves nothing: it is discarded, and the report shows how many were. The
//!   baseline in the same rounds: the same writes, and a bare subscriber on the Pub/Sub channel.
//! * **throughput**: writes in SQL at a steady rate, one row and one COMMIT each, in several concurrent sessions; the
//!   rate that was reached, and the lag of the outbox and of every consumer, each second.

mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::Metrics;
use client::times::{Times, millis};
use contract::cart_reference;
use fred::clients::{Client as Redis, SubscriberClient};
use fred::interfaces::{ClientLike, EventInterface, KeysInterface, PubsubInterface};
use fred::types::Builder;
use fred::types::config::Config;
use reqwest::Client;
use serde::Serialize;
use serde_json::{Value, json};
use testkit::private_system::{PrivateSystem, Service};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

/// The options of `bench events`.
#[derive(Debug, Args)]
pub struct Options {
    /// Writes a second in the first part
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Rows a second in the second part, each committed by itself
    #[arg(long, default_value_t = 2_000)]
    rows: u32,
    /// Sessions that write them
    #[arg(long, default_value_t = 4)]
    sessions: u32,
    /// Seconds of each round of the first part, and of the second part
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Rounds of the first part
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Products in the catalogue
    #[arg(long, default_value_t = 2_000)]
    products: u32,
    /// Every how many writes one is a probe
    #[arg(long, default_value_t = 10)]
    every: u32,
    /// Fail when an entry was not invalidated, p99 from the response is above 20 ms, fewer rows were written than asked for,
    /// or the lag grows
    #[arg(long)]
    assert: bool,
    /// Write all figures to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// An entry that still exists after this time was not invalidated.
const LOST: Duration = Duration::from_secs(5);
/// How long before a write of a probe is due its entries are filled.
const AHEAD: Duration = Duration::from_millis(50);
/// The Pub/Sub channel of changes.
const UPDATES: &str = "product:updates";
/// The services, all of them together, and the bare subscriber on the channel.
const PLACES: [&str; 6] = ["product-api", "cart", "search", "recommendation", "all four", "bare subscriber"];

/// For each of [`PLACES`], a list of delays per round.
type Delays = BTreeMap<&'static str, Vec<Vec<f64>>>;

#[derive(Debug, Default, Serialize)]
struct Figures {
    commit: String,
    rate: u32,
    probes: usize,
    lost: usize,
    /// Discarded probes, by reason.
    discarded: BTreeMap<&'static str, usize>,
    /// Milliseconds until the entry was gone, since the request was due, which is before COMMIT.
    from_request: Delays,
    /// The same since the response arrived, which is after COMMIT; 0 if the entry was gone by then.
    from_answer: Delays,
    rows: u32,
    sessions: u32,
    rows_written: u64,
    /// Duration of these writes in seconds.
    written_s: f64,
    /// For each second: the outbox rows that are not done, and the greatest lag of a consumer.
    lag: Vec<(i64, f64)>,
    /// Seconds from the last row until no consumer lagged.
    drained_s: f64,
}

/// Runs the benchmark and prints its tables.
pub async fn run(options: &Options) -> Result<()> {
    let settings = [("LOG__FILTER", "warn"), ("REDIS__COMMAND_TIMEOUT", "200ms")];
    let system = Arc::new(PrivateSystem::start(options.products, &settings).await?);
    let http = Client::builder().no_proxy().timeout(LOST).build()?;
    settled(&system, &http).await?;
    let mut figures = Figures {
        commit: commit(),
        rate: options.rate,
        rows: options.rows,
        sessions: options.sessions.max(1),
        ..Figures::default()
    };
    delay(&system, &http, options, &mut figures).await?;
    throughput(&system, &http, options, &mut figures).await?;
    print(&figures);
    for service in Service::ALL {
        // The services log only warnings: they may explain an outlier in the figures.
        for line in system.output(service).await.lines() {
            println!("{}: {line}", service.name());
        }
    }
    if let Some(file) = &options.json {
        let json = serde_json::to_vec_pretty(&figures)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.assert {
        figures.check(f64::from(options.rows))?;
    }
    Ok(())
}

/// A product with an entry in every service.
struct Probe {
    id: i64,
    cart: String,
    /// One key per service, and the addresses that fill the entries.
    keys: [String; 4],
    urls: [String; 4],
}

impl Probe {
    async fn prepare(system: &PrivateSystem, http: &Client, id: i64) -> Result<Self> {
        let at = |service| system.url(service);
        let cart: Value =
            http.post(format!("{}/carts", at(Service::Cart))).json(&json!({})).send().await?.json().await?;
        let cart = cart["id"].as_str().context("a cart has an id")?.to_owned();
        let item = format!("{}/carts/{cart}/items/{id}", at(Service::Cart));
        http.put(item).json(&json!({ "quantity": 1 })).send().await?.error_for_status()?;
        let product: Value =
            http.get(format!("{}/products/{id}", at(Service::ProductApi))).send().await?.json().await?;
        // A query for the whole name shows the product on the first page.
        let name = product["name"].as_str().context("a product has a name")?;
        let mut search = reqwest::Url::parse(&format!("{}/search", at(Service::Search)))?;
        search.query_pairs_mut().append_pair("q", name).append_pair("limit", "5");
        let urls = [
            format!("{}/products/production/{id}", at(Service::ProductApi)),
            format!("{}/carts/{cart}", at(Service::Cart)),
            search.to_string(),
            format!("{}/recommendations/{id}", at(Service::Recommendation)),
        ];
        let mut probe = Self { id, cart, keys: Default::default(), urls };
        for service in Service::ALL {
            probe.keys[service as usize] = probe.find(system, http, service).await?;
        }
        Ok(probe)
    }

    /// Fills the entry of a service, and returns its key. The key of a search page is found by its tags.
    async fn find(&self, system: &PrivateSystem, http: &Client, service: Service) -> Result<String> {
        let url = &self.urls[service as usize];
        http.get(url).send().await?.error_for_status()?;
        match service {
            Service::ProductApi => return Ok(format!("product:production:{}", self.id)),
            Service::Cart => return Ok(format!("cart:view:{}", cart_reference(self.cart.parse()?))),
            Service::Recommendation => return Ok(format!("recommendation:list:{}", self.id)),
            Service::Search => {}
        }
        let began = Instant::now();
        loop {
            // An event that is still being delivered may prevent the fill.
            if let Some(key) = tagged(&system.url(service), http, &format!("product:{}", self.id)).await? {
                return Ok(key);
            }
            ensure!(began.elapsed() < LOST, "no page of {} shows product {}", service.name(), self.id);
            sleep(Duration::from_millis(50)).await;
            http.get(url).send().await?.error_for_status()?;
        }
    }

    /// Fills all four entries. Returns the time since when they have existed, or `None` if an event that was still
    /// being delivered has removed one again.
    async fn warm(&self, http: &Client, redis: &Redis) -> Result<Option<Instant>> {
        for url in &self.urls {
            http.get(url).send().await?.error_for_status()?;
        }
        // Removals count from here on: an entry that is removed between here and the write must not be waited for.
        let began = Instant::now();
        for key in &self.keys {
            // An entry begins with `V`, a lease does not.
            if redis.getrange::<Option<String>, _>(key, 0, 0).await?.as_deref() != Some("V") {
                return Ok(None);
            }
        }
        Ok(Some(began))
    }
}

/// Returns the key of an entry that carries `tag`.
async fn tagged(base: &str, http: &Client, tag: &str) -> Result<Option<String>> {
    let mut cursor = String::new();
    loop {
        let page = http.get(format!("{base}/cache/entries?limit=1000{cursor}")).send().await?.error_for_status()?;
        let page: Value = page.json().await?;
        let entries = page["entries"].as_array().context("a page has entries")?;
        let carries = |entry: &&Value| entry["tags"].as_array().is_some_and(|tags| tags.iter().any(|its| its == tag));
        if let Some(key) = entries.iter().find(carries).and_then(|entry| entry["key"].as_str()) {
            return Ok(Some(key.to_owned()));
        }
        let Some(next) = page["next_cursor"].as_str() else { return Ok(None) };
        cursor = format!("&cursor={next}");
    }
}

async fn delay(system: &Arc<PrivateSystem>, http: &Client, options: &Options, figures: &mut Figures) -> Result<()> {
    let redis = Builder::from_config(Config::from_url(&system.redis.url())?).build()?;
    redis.init().await?;
    let mut probes = Vec::new();
    for id in 1..=i64::from(options.rate / options.every).clamp(4, 40) {
        probes.push(Arc::new(Probe::prepare(system, http, id).await?));
    }
    let keys: Vec<&str> = probes.iter().flat_map(|probe| &probe.keys).map(String::as_str).collect();
    system.redis.cli(&["CONFIG", "SET", "notify-keyspace-events", "Kg"]).await?;
    let heard = Heard::listen(&system.redis.url(), &keys).await?;
    for _ in 0..options.rounds {
        for place in PLACES {
            figures.from_request.entry(place).or_default().push(Vec::new());
            figures.from_answer.entry(place).or_default().push(Vec::new());
        }
        for probed in round(system, http, options, &redis, &heard, &probes).await? {
            let write = match probed {
                Probed::Measured(write) => write,
                Probed::Discarded(why) => {
                    *figures.discarded.entry(why).or_default() += 1;
                    continue;
                }
            };
            figures.probes += 1;
            figures.lost += usize::from(write.gone.contains(&None));
            for (since, delays) in [(write.due, &mut figures.from_request), (write.answered, &mut figures.from_answer)]
            {
                for (place, ms) in PLACES.into_iter().zip(write.delays(since)) {
                    let rounds = delays.entry(place).or_default();
                    rounds.last_mut().context("a round has begun")?.push(ms);
                }
            }
        }
    }
    Ok(())
}

/// The result of a probe.
enum Probed {
    Measured(Write),
    /// The probe proves nothing, for this reason.
    Discarded(&'static str),
}

/// A write of a probe: when it was due and answered, when each entry was gone, and when the subscriber was notified.
struct Write {
    due: Instant,
    answered: Instant,
    gone: [Option<Instant>; 4],
    told: Option<Instant>,
}

impl Write {
    /// Returns the milliseconds since `since`, in the order of [`PLACES`].
    fn delays(&self, since: Instant) -> impl Iterator<Item = f64> {
        let since = |at: Instant| millis(at.saturating_duration_since(since));
        let gone = self.gone.map(|at| at.map_or(f64::INFINITY, since));
        let all = gone.into_iter().fold(0.0, f64::max);
        gone.into_iter().chain([all]).chain(self.told.map(since))
    }
}

/// Writes at a steady rate for some seconds.
async fn round(
    system: &PrivateSystem,
    http: &Client,
    options: &Options,
    redis: &Redis,
    heard: &Heard,
    probes: &[Arc<Probe>],
) -> Result<Vec<Probed>> {
    let mut ticks = interval(Duration::from_secs(1) / options.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut writes = JoinSet::new();
    let mut probed = Vec::new();
    for number in 0..options.rate * options.seconds {
        // A write is due a little after its tick, so that there is time to fill the entries of a probe.
        let due = ticks.tick().await + AHEAD;
        let (http, redis, heard) = (http.clone(), redis.clone(), heard.clone());
        let shop = system.url(Service::ProductApi);
        let body = json!({ "stock": 1 + number % 1_000 });
        if number % options.every == 0 {
            let probe = Arc::clone(&probes[(number / options.every) as usize % probes.len()]);
            writes.spawn(async move {
                let Some(began) = probe.warm(&http, &redis).await? else {
                    return Ok(Some(Probed::Discarded("an earlier change removed an entry while they were filled")));
                };
                let url = format!("{shop}/products/{}", probe.id);
                sleep_until(due).await;
                if heard.any_gone(&probe.keys, began) {
                    return Ok(Some(Probed::Discarded("another change removed an entry before the write was due")));
                }
                let answer: Value = http.put(url).json(&body).send().await?.error_for_status()?.json().await?;
                let answered = Instant::now();
                let version = answer["version"].as_i64().context("a version")?;
                let mut gone = [None; 4];
                for (key, gone) in probe.keys.iter().zip(&mut gone) {
                    *gone = heard.gone(key, began).await;
                }
                let told = heard.told(probe.id, version).await;
                anyhow::Ok(Some(Probed::Measured(Write { due: due.into_std(), answered, gone, told })))
            });
        } else {
            let others = i64::from(options.products) - 100;
            let id = 100 + i64::from(number) * 7_919 % others;
            writes.spawn(async move {
                sleep_until(due).await;
                http.put(format!("{shop}/products/{id}")).json(&body).send().await?.error_for_status()?;
                Ok(None)
            });
        }
        while let Some(written) = writes.try_join_next() {
            probed.extend(written??);
        }
    }
    while let Some(written) = writes.join_next().await {
        probed.extend(written??);
    }
    Ok(probed)
}

/// The notifications of Redis: that an entry is gone, and, for the bare subscriber, that a product has changed.
#[derive(Clone)]
struct Heard {
    said: Arc<std::sync::Mutex<Said>>,
    _client: SubscriberClient,
}

/// The time of the latest notification.
#[derive(Default)]
struct Said {
    gone: BTreeMap<String, Instant>,
    told: BTreeMap<(i64, i64), Instant>,
}

impl Heard {
    async fn listen(url: &str, keys: &[&str]) -> Result<Self> {
        let client = Builder::from_config(Config::from_url(url)?).build_subscriber_client()?;
        client.init().await?;
        let (mut messages, mut removals) = (client.message_rx(), client.keyspace_event_rx());
        client.subscribe(UPDATES).await?;
        client.subscribe(keys.iter().map(|key| format!("__keyspace@0__:{key}")).collect::<Vec<_>>()).await?;
        let said: Arc<std::sync::Mutex<Said>> = Arc::default();
        let hears = Arc::clone(&said);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Ok(event) = removals.recv() => {
                        let (now, key) = (Instant::now(), event.key.into_string().unwrap_or_default());
                        if event.operation == "del" {
                            hears.lock().expect("nobody panics with it").gone.insert(key, now);
                        }
                    }
                    Ok(message) = messages.recv() => {
                        let now = Instant::now();
                        let event: Value =
                            serde_json::from_slice(message.value.as_bytes().unwrap_or_default()).unwrap_or_default();
                        if let (Some(id), Some(version)) = (event["product_id"].as_i64(), event["version"].as_i64()) {
                            hears.lock().expect("nobody panics with it").told.insert((id, version), now);
                        }
                    }
                    else => break,
                }
            }
        });
        Ok(Self { said, _client: client })
    }

    /// Returns whether a notification says that an entry was removed after `began`.
    fn any_gone(&self, keys: &[String], began: Instant) -> bool {
        let said = self.said.lock().expect("nobody panics with it");
        keys.iter().any(|key| said.gone.get(key).is_some_and(|at| *at >= began))
    }

    /// Returns when an entry was removed after `began`.
    async fn gone(&self, key: &str, began: Instant) -> Option<Instant> {
        self.find(|said| said.gone.get(key).copied().filter(|at| *at >= began)).await
    }

    /// Returns when the subscriber was notified of a version of a product.
    async fn told(&self, id: i64, version: i64) -> Option<Instant> {
        self.find(|said| said.told.remove(&(id, version))).await
    }

    /// Polls every few milliseconds. The result is the time of the notification, not the time of the poll.
    async fn find(&self, mut look: impl FnMut(&mut Said) -> Option<Instant>) -> Option<Instant> {
        let began = Instant::now();
        while began.elapsed() < LOST {
            if let Some(at) = look(&mut self.said.lock().expect("nobody panics with it")) {
                return Some(at);
            }
            sleep(Duration::from_millis(5)).await;
        }
        None
    }
}

async fn throughput(
    system: &Arc<PrivateSystem>,
    http: &Client,
    options: &Options,
    figures: &mut Figures,
) -> Result<()> {
    settled(system, http).await?;
    // Each session keeps its own schedule: after a pause it catches up, so that the rate is reached if possible.
    let session = |number: u32| {
        let rows = (options.rows * options.seconds + number) / figures.sessions;
        format!(
            "DO $$ DECLARE began timestamptz := clock_timestamp(); due float8; BEGIN
               FOR n IN 1..{rows} LOOP
                 UPDATE products SET stock = (stock + 1) % 1000
                 WHERE id = 1 + ((n::bigint * {sessions} + {number}) * 7919) % {products};
                 COMMIT;
                 due := n * {seconds}::float8 / {rows} - extract(epoch FROM clock_timestamp() - began);
                 IF due > 0 THEN PERFORM pg_sleep(due); END IF;
               END LOOP; END $$",
            sessions = figures.sessions,
            products = options.products,
            seconds = options.seconds,
        )
    };
    let head = |system: Arc<PrivateSystem>| async move {
        let rows = system.postgres.sql("shop_db", "SELECT max(id) FROM outbox").await?;
        anyhow::Ok(rows.trim().parse::<u64>().unwrap_or(0))
    };
    let before = head(Arc::clone(system)).await?;
    let began = Instant::now();
    let mut writing = JoinSet::new();
    for sql in (0..figures.sessions).map(session) {
        let system = Arc::clone(system);
        writing.spawn(async move {
            system.postgres.sql("shop_db", &sql).await?;
            anyhow::Ok(began.elapsed())
        });
    }
    let mut seconds = interval(Duration::from_secs(1));
    seconds.tick().await;
    while !writing.is_empty() {
        tokio::select! {
            Some(written) = writing.join_next() => {
                figures.written_s = figures.written_s.max(written??.as_secs_f64());
            }
            _ = seconds.tick() => figures.lag.push(lag(system, http).await?),
        }
    }
    figures.rows_written = head(Arc::clone(system)).await? - before;
    let ended = Instant::now();
    settled(system, http).await?;
    figures.drained_s = ended.elapsed().as_secs_f64();
    Ok(())
}

pub(crate) async fn lag(system: &PrivateSystem, http: &Client) -> Result<(i64, f64)> {
    let undone = system.postgres.sql("shop_db", "SELECT count(*) FROM outbox WHERE done_at IS NULL").await?;
    let mut greatest = 0.0_f64;
    for service in Service::SUBSCRIBERS {
        let text = http.get(format!("{}/metrics", system.url(service))).send().await?.text().await?;
        greatest = greatest.max(Metrics::parse(&text).sum("events_lag", &[]));
    }
    Ok((undone.trim().parse()?, greatest))
}

/// Waits until no consumer lags.
pub(crate) async fn settled(system: &PrivateSystem, http: &Client) -> Result<()> {
    let began = Instant::now();
    while lag(system, http).await? != (0, 0.0) {
        ensure!(began.elapsed() < Duration::from_secs(120), "the events are not carried out within 120 s");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Returns a percentile of each round.
fn spread(delays: &Delays, place: &str, percent: f64) -> Times {
    let rounds = delays.get(place).into_iter().flatten();
    rounds.map(|ms| ms.iter().copied().collect::<Times>().percentile(percent)).collect()
}

impl Figures {
    /// Returns the number of rows that were written per second.
    fn reached(&self) -> f64 {
        self.rows_written as f64 / self.written_s.max(f64::EPSILON)
    }
}

fn print(figures: &Figures) {
    println!(
        "\nUntil the entry is gone, in ms: {} writes/s, {} probes, {} lost.\n\
         Median of the rounds, least and greatest in brackets.",
        figures.rate, figures.probes, figures.lost
    );
    for (why, count) in &figures.discarded {
        println!("Discarded: {count}, because {why}.");
    }
    for (title, delays) in [
        ("request (from when it was due) → gone: an upper bound of COMMIT → gone", &figures.from_request),
        ("answer → gone: a lower bound, 0 where it was gone before the answer", &figures.from_answer),
    ] {
        println!("\n{title}");
        println!("{:<16}{:>20}{:>20}{:>20}{:>20}", "", "p50", "p95", "p99", "max");
        for place in PLACES {
            let at = |percent| {
                let ms = spread(delays, place, percent);
                format!("{:.1} ({:.1}–{:.1})", ms.median(), ms.min(), ms.max())
            };
            println!("{place:<16}{:>20}{:>20}{:>20}{:>20}", at(50.0), at(95.0), at(99.0), at(100.0));
        }
    }
    println!(
        "\n{} rows/s asked for in SQL, each committed by itself, in {} sessions: {} rows in {:.1} s are {:.0} rows/s.\n\
         Lag each second (outbox rows, greatest of a consumer):",
        figures.rows,
        figures.sessions,
        figures.rows_written,
        figures.written_s,
        figures.reached()
    );
    for (second, (undone, greatest)) in figures.lag.iter().enumerate() {
        println!("  {:>3} s  {undone:>7}  {greatest:>7}", second + 1);
    }
    println!("drained {:.2} s after the last row", figures.drained_s);
}

/// Returns the measured commit, according to git.
fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
