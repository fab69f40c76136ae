//! The first part: how long a committed change takes until it is gone from every cache. Probes are the products whose
//! entries are observed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use client::CachedResponse;
use client::times::millis;
use fred::clients::Client as Redis;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::Builder;
use fred::types::config::Config;
use reqwest::Client;
use serde_json::{Value, json};
use testkit::private_system::{PrivateSystem, Service};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::Options;
use super::notifications::Notifications;
use super::report::{Figures, PLACES};

/// How long before a write of a probe is due its entries are filled.
const AHEAD: Duration = Duration::from_millis(50);

/// Measures the delays, in rounds.
pub(super) async fn measure(
    system: &PrivateSystem, http: &Client, options: &Options, figures: &mut Figures,
) -> Result<()> {
    let redis = Builder::from_config(Config::from_url(&system.redis.url())?).build()?;
    redis.init().await?;
    let mut probes = Vec::new();
    for id in 1..=i64::from(options.rate / options.every).clamp(4, 40) {
        probes.push(Arc::new(Probe::prepare(system, http, id).await?));
    }
    let keys: Vec<&str> = probes.iter().flat_map(|probe| probe.keys()).collect();
    system.redis.cli(&["CONFIG", "SET", "notify-keyspace-events", "Kg"]).await?;
    let notifications = Notifications::listen(&system.redis.url(), &keys).await?;
    for _ in 0..options.rounds {
        for place in PLACES {
            figures.from_request.entry(place).or_default().push(Vec::new());
            figures.from_answer.entry(place).or_default().push(Vec::new());
        }
        for probed in round(system, http, options, &redis, &notifications, &probes).await? {
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
                    rounds.last_mut().context("no round has begun")?.push(ms);
                }
            }
        }
    }
    Ok(())
}

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
    seen_by_subscriber: Option<Instant>,
}

impl Write {
    /// Returns the milliseconds since `since`, in the order of [`PLACES`].
    fn delays(&self, since: Instant) -> impl Iterator<Item = f64> {
        let since = |at: Instant| millis(at.saturating_duration_since(since));
        let gone = self.gone.map(|at| at.map_or(f64::INFINITY, since));
        let all = gone.into_iter().fold(0.0, f64::max);
        gone.into_iter().chain([all]).chain(self.seen_by_subscriber.map(since))
    }
}

/// Writes at a steady rate for some seconds.
async fn round(
    system: &PrivateSystem, http: &Client, options: &Options, redis: &Redis, notifications: &Notifications,
    probes: &[Arc<Probe>],
) -> Result<Vec<Probed>> {
    let mut ticks = interval(Duration::from_secs(1) / options.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut writes = JoinSet::new();
    let mut probed = Vec::new();
    for number in 0..options.rate * options.seconds {
        // A write is due a little after its tick, so that there is time to fill the entries of a probe.
        let due = ticks.tick().await + AHEAD;
        let (http, redis, notifications) = (http.clone(), redis.clone(), notifications.clone());
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
                if notifications.any_gone(probe.keys(), began) {
                    return Ok(Some(Probed::Discarded("another change removed an entry before the write was due")));
                }
                let answer: Value = http.put(url).json(&body).send().await?.error_for_status()?.json().await?;
                let answered = Instant::now();
                let version = answer["version"].as_i64().context("the answer has no version")?;
                let mut gone = [None; 4];
                for (key, gone) in probe.keys().zip(&mut gone) {
                    *gone = notifications.gone(key, began).await;
                }
                let seen_by_subscriber = notifications.seen_by_subscriber(probe.id, version).await;
                anyhow::Ok(Some(Probed::Measured(Write { due: due.into_std(), answered, gone, seen_by_subscriber })))
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

/// A product with an entry in every service.
pub(super) struct Probe {
    pub(super) id: i64,
    responses: [CachedResponse; 4],
}

impl Probe {
    pub(super) async fn prepare(system: &PrivateSystem, http: &Client, id: i64) -> Result<Self> {
        let bases = Service::ALL.map(|service| system.url(service));
        let bases = bases.each_ref().map(String::as_str);
        Ok(Self { id, responses: CachedResponse::of_product(http, bases, "production", id, 5).await? })
    }

    /// Returns the keys of its entries, in the order of [`Service::ALL`].
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.responses.iter().map(|response| response.key.as_str())
    }

    /// Fills all four entries. Returns the time since when they have existed, or `None` if an event that was still
    /// being delivered has removed one again.
    pub(super) async fn warm(&self, http: &Client, redis: &Redis) -> Result<Option<Instant>> {
        for response in &self.responses {
            http.get(&response.url).send().await?.error_for_status()?;
        }
        // Removals count from here on: an entry that is removed between here and the write must not be waited for.
        let began = Instant::now();
        for key in self.keys() {
            // An entry begins with `V`, a lease does not.
            if redis.getrange::<Option<String>, _>(key, 0, 0).await?.as_deref() != Some("V") {
                return Ok(None);
            }
        }
        Ok(Some(began))
    }
}
