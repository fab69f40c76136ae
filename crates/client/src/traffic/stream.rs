//! One stream of requests.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::future::join_all;
use hyper::Method;
use rand::Rng;
use rand::distr::Distribution;
use rand_distr::{Exp, Zipf};
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;

use super::floors::Floors;
use super::{Order, Plan, ProductRange, SOURCES, TrafficResults};
use crate::times::micros;
use crate::{CacheStatus, Connection};

/// Maximum number of requests in flight; requests that come due beyond it are given up and counted.
const IN_FLIGHT: usize = 2_000;

/// One stream of requests to one range of products. Its results so far can be read while it runs.
#[derive(Debug)]
pub struct Stream {
    products: ProductRange,
    plan: Plan,
    idle: RefCell<Vec<Connection>>,
    /// The due times of the requests in flight, by their numbers.
    under_way: RefCell<BTreeMap<u64, Instant>>,
    floors: RefCell<HashMap<u64, Floors>>,
    seen: RefCell<TrafficResults>,
    failure: RefCell<Option<String>>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl Stream {
    /// Creates a stream of requests to these products.
    pub fn new(products: &ProductRange, plan: Plan) -> Rc<Self> {
        Rc::new(Self {
            products: products.clone(),
            plan,
            idle: RefCell::default(),
            under_way: RefCell::default(),
            floors: RefCell::default(),
            seen: RefCell::default(),
            failure: RefCell::default(),
        })
    }

    /// Returns the results since the last call.
    pub fn take(&self) -> TrafficResults {
        self.seen.take()
    }

    /// Returns the latest failure.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Opens `count` connections by reading one product on each. These reads are not counted.
    pub async fn open(&self, count: usize, id: u64) -> Result<()> {
        let mut all = (0..count).map(|_| Connection::new(&self.products.base)).collect::<Result<Vec<_>>>()?;
        let path = self.path(id);
        for answer in join_all(all.iter_mut().map(|connection| connection.send(Method::GET, &path, None))).await {
            let status = answer?.status;
            anyhow::ensure!(status.is_success(), "GET {path}: {status}");
        }
        self.idle.borrow_mut().append(&mut all);
        Ok(())
    }

    /// Sends requests as they come due, until the plan's length is over and all have a response.
    pub async fn run(self: Rc<Self>) {
        let mut due = arrivals(self.plan.rate, self.plan.length);
        let zipf = match self.plan.order {
            Order::Zipf(skew) => Zipf::new(self.products.count as f64, skew).ok(),
            Order::Each => None,
        };
        let local = LocalSet::new();
        let sending = async {
            let mut number = 0;
            while let Some(due) = due.recv().await {
                let (chosen, write) = {
                    let mut rng = rand::rng();
                    let chosen = zipf.map_or(number % self.products.count, |zipf| zipf.sample(&mut rng) as u64 - 1);
                    (self.products.first + chosen.min(self.products.count - 1), rng.random_bool(self.plan.writes))
                };
                number += 1;
                if self.under_way.borrow().len() >= IN_FLIGHT {
                    self.give_up(due, write);
                    continue;
                }
                self.under_way.borrow_mut().insert(number, due);
                tokio::task::spawn_local(Rc::clone(&self).send(number, due, chosen, write));
            }
        };
        local.run_until(sending).await;
        local.await;
    }

    /// Counts a request that is not sent. It counts with the time that the oldest request in flight has waited, because
    /// it would have to wait at least as long.
    fn give_up(&self, due: Instant, write: bool) {
        let oldest = self.under_way.borrow().first_key_value().map_or(due, |(_, due)| *due);
        self.seen.borrow_mut().given_up += 1;
        self.record_unanswered(oldest, write);
    }

    fn record_unanswered(&self, since: Instant, write: bool) {
        let mut seen = self.seen.borrow_mut();
        let seen = &mut *seen;
        let _ = if write { &mut seen.writes } else { &mut seen.reads }.record(micros(since.elapsed()));
    }

    async fn send(self: Rc<Self>, number: u64, due: Instant, id: u64, write: bool) {
        let _ = self.seen.borrow_mut().late.record(micros(due.elapsed()));
        let idle = self.idle.borrow_mut().pop();
        let done = match idle.map_or_else(|| Connection::new(&self.products.base), Ok) {
            Ok(mut connection) => {
                let done = match write {
                    true => self.write(&mut connection, due, id).await,
                    false => self.read(&mut connection, due, id).await,
                };
                self.idle.borrow_mut().push(connection);
                done
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.seen.borrow_mut().failed += 1;
            self.record_unanswered(due, write);
            *self.failure.borrow_mut() = Some(format!("{error:#}"));
        }
        self.under_way.borrow_mut().remove(&number);
    }

    async fn read(&self, connection: &mut Connection, due: Instant, id: u64) -> Result<()> {
        let sent = Instant::now();
        let answer = connection.send(Method::GET, &self.path(id), None).await?;
        let took = micros(due.elapsed());
        anyhow::ensure!(answer.status.is_success(), "GET {}: {}", self.path(id), answer.status);
        let shown: Versioned = serde_json::from_slice(&answer.body).context("the product has no version")?;
        let stale_for = self.floors.borrow().get(&id).and_then(|floors| floors.stale_for(shown.version, sent));
        let mut seen = self.seen.borrow_mut();
        let _ = seen.reads.record(took);
        let source = answer.source();
        if let Some(at) = SOURCES.iter().position(|it| *it == source) {
            let _ = seen.sources[at].record(took);
        }
        if let Some(stale_for) = stale_for {
            seen.stale += 1;
            let _ = seen.staleness.record(micros(stale_for).max(1));
        }
        Ok(())
    }

    async fn write(&self, connection: &mut Connection, due: Instant, id: u64) -> Result<()> {
        let stock: u32 = rand::rng().random_range(1..1_000_000);
        let body = Bytes::from(format!("{{\"stock\":{stock}}}"));
        let answer = connection.send(Method::PUT, &self.path(id), Some(body)).await?;
        let took = micros(due.elapsed());
        anyhow::ensure!(answer.status.is_success(), "PUT {}: {}", self.path(id), answer.status);
        let made: Versioned = serde_json::from_slice(&answer.body).context("the product has no version")?;
        let _ = self.seen.borrow_mut().writes.record(took);
        // A deferred invalidation promises nothing yet.
        if CacheStatus::parse(&answer.cache_status).detail() != Some("deferred") {
            self.floors.borrow_mut().entry(id).or_default().acknowledged(made.version, Instant::now());
        }
        Ok(())
    }

    fn path(&self, id: u64) -> String {
        format!("{}{id}", self.products.path)
    }
}

/// Returns the times at which requests come due. A separate thread produces them, because the timers of the runtime
/// have a resolution of a millisecond.
#[expect(clippy::disallowed_methods, reason = "on a thread of its own")]
pub(super) fn arrivals(rate: f64, length: Duration) -> UnboundedReceiver<Instant> {
    let (sender, arrivals) = unbounded_channel();
    thread::spawn(move || {
        let Ok(gaps) = Exp::new(rate) else { return };
        let (mut rng, began) = (rand::rng(), Instant::now());
        let mut due = began;
        loop {
            due += Duration::from_secs_f64(gaps.sample(&mut rng));
            if due.duration_since(began) >= length {
                return;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    arrivals
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Source;

    use super::*;

    #[tokio::test]
    async fn unanswered_request_counts_with_its_duration() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap());
        let products = ProductRange { name: String::new(), base, path: "/".to_owned(), first: 1, count: 1 };
        let plan = Plan { rate: 1.0, writes: 0.0, order: Order::Each, length: Duration::ZERO };
        let (stream, began) = (Stream::new(&products, plan), Instant::now());
        drop(silent); // the port refuses from now on
        let old = began.checked_sub(Duration::from_secs(3)).unwrap();
        stream.under_way.borrow_mut().insert(1, old);
        stream.give_up(Instant::now(), false);
        Rc::clone(&stream).send(2, began, 1, true).await;
        let seen = stream.take();
        assert_eq!((seen.given_up, seen.failed), (1, 1));
        assert_eq!((seen.reads.len(), seen.writes.len(), seen.late.len()), (1, 1, 1));
        assert!(seen.reads.max() >= 3_000_000, "as long as the oldest that is under way has waited");
        assert!(seen.from(Source::Hit).is_empty(), "an unanswered read is no hit");
    }

    #[tokio::test]
    async fn requests_come_due_at_the_requested_rate() {
        let mut due = arrivals(2_000.0, Duration::from_millis(500));
        let (mut count, mut last) = (0_u32, None);
        while let Some(at) = due.recv().await {
            assert!(last.is_none_or(|last| last <= at));
            (count, last) = (count + 1, Some(at));
        }
        // 1,000 on average, with a standard deviation of 32.
        assert!((800..1_200).contains(&count), "{count}");
    }
}
