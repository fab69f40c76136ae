//! Open-loop load: every request is sent when it is due, however late the responses to other requests are.
//!
//! Latency counts from when a request was due, not from when it could be sent. In a closed loop, the next request waits
//! for the last response. So it sends the fewest requests just when the server is slowest, and does not measure how
//! slow it was ("coordinated omission": Tene, "How NOT to Measure Latency", 2013; Schroeder et al., "Open Versus
//! Closed", NSDI 2006). Arrivals are a Poisson process. A request that fails or is given up counts with at least the
//! time that it took. The delay with which requests are sent is measured as well: a generator that is late measures
//! itself.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use hyper::Method;
use rand::Rng;
use rand::distr::Distribution;
use rand_distr::{Exp, Zipf};
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;

use crate::cache_status::Source;
use crate::client::Connection;

/// The strategies of the product API.
pub(crate) const LANES: [&str; 7] = ["ttl", "explicit", "writethrough", "events", "swr", "tags", "production"];
/// Maximum number of requests in flight; requests that come due beyond it are given up and counted.
const IN_FLIGHT: usize = 2_000;
/// The number of recent versions of a product that are remembered.
const REMEMBERED: usize = 256;

/// A range of products that is read and written: `first..first + count` under one path.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its name in reports.
    pub(crate) name: String,
    /// `http://127.0.0.1:8004`
    pub(crate) base: String,
    /// The path before a product's id: `/products/ttl/`.
    pub(crate) path: String,
    /// The first product.
    pub(crate) first: u64,
    /// The number of products.
    pub(crate) count: u64,
}

/// The order in which products are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// At random, some far more often than others: Zipf's law with this exponent; 0 for equal probability.
    Zipf(f64),
    /// One after the other, each once.
    Each,
}

/// The rate and the length of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Requests per second, on average.
    pub(crate) rate: f64,
    /// The share of them that are writes.
    pub(crate) writes: f64,
    /// The order of the products.
    pub(crate) order: Order,
    /// The time during which requests come due.
    pub(crate) length: Duration,
}

/// The results of a load.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Latency of reads since they were due, in microseconds; for reads without a response, the time until they were
    /// given up.
    pub(crate) reads: Histogram<u64>,
    /// The same for writes.
    pub(crate) writes: Histogram<u64>,
    /// The same for reads with a response, by the source of the response, in the order of [`SOURCES`].
    pub(crate) sources: [Histogram<u64>; 6],
    /// The delay between the time when requests were due and the time when they were sent.
    pub(crate) late: Histogram<u64>,
    /// Reads that showed a version which an acknowledged write had replaced when they were sent.
    pub(crate) stale: u64,
    /// How long that version had been replaced, in microseconds.
    pub(crate) staleness: Histogram<u64>,
    /// Requests without a usable response.
    pub(crate) failed: u64,
    /// Requests that were not sent, because too many were in flight.
    pub(crate) given_up: u64,
}

/// The order of [`Seen::sources`].
pub(crate) const SOURCES: [Source; 6] =
    [Source::Hit, Source::Stale, Source::Miss, Source::Collapsed, Source::Bypass, Source::Uncached];

impl Default for Seen {
    fn default() -> Self {
        let histogram = || Histogram::new(3).expect("three digits are allowed");
        Self {
            reads: histogram(),
            writes: histogram(),
            sources: std::array::from_fn(|_| histogram()),
            late: histogram(),
            stale: 0,
            staleness: histogram(),
            failed: 0,
            given_up: 0,
        }
    }
}

impl Seen {
    /// Returns the latency of the reads from `source`.
    pub(crate) fn from(&self, source: Source) -> &Histogram<u64> {
        &self.sources[SOURCES.iter().position(|it| *it == source).expect("every source is listed")]
    }

    /// Returns the share of reads that a cache answered.
    pub(crate) fn hit_ratio(&self) -> f64 {
        let hits = self.from(Source::Hit).len() + self.from(Source::Stale).len();
        hits as f64 / self.sources.iter().map(Histogram::len).sum::<u64>().max(1) as f64
    }

    /// Adds the results of another stream.
    pub(crate) fn add(&mut self, other: &Self) {
        // The histograms resize themselves, so adding cannot fail.
        let _ = self.reads.add(&other.reads);
        let _ = self.writes.add(&other.writes);
        let _ = self.staleness.add(&other.staleness);
        let _ = self.late.add(&other.late);
        for (sum, more) in self.sources.iter_mut().zip(&other.sources) {
            let _ = sum.add(more);
        }
        self.stale += other.stale;
        self.failed += other.failed;
        self.given_up += other.given_up;
    }
}

/// One stream of requests to one place. Its results so far can be read while it runs.
#[derive(Debug)]
pub(crate) struct Stream {
    place: Place,
    plan: Plan,
    idle: RefCell<Vec<Connection>>,
    /// The due times of the requests in flight, by their numbers.
    under_way: RefCell<BTreeMap<u64, Instant>>,
    floors: RefCell<HashMap<u64, Floors>>,
    seen: RefCell<Seen>,
    failure: RefCell<Option<String>>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl Stream {
    pub(crate) fn new(place: &Place, plan: Plan) -> Rc<Self> {
        Rc::new(Self {
            place: place.clone(),
            plan,
            idle: RefCell::default(),
            under_way: RefCell::default(),
            floors: RefCell::default(),
            seen: RefCell::default(),
            failure: RefCell::default(),
        })
    }

    /// Returns the results since the last call.
    pub(crate) fn take(&self) -> Seen {
        self.seen.take()
    }

    /// Returns the latest failure.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Opens `count` connections by reading one product on each. These reads are not counted.
    pub(crate) async fn open(&self, count: usize, id: u64) -> Result<()> {
        let mut all = (0..count).map(|_| Connection::new(&self.place.base)).collect::<Result<Vec<_>>>()?;
        let path = self.path(id);
        for answer in join_all(all.iter_mut().map(|connection| connection.send(Method::GET, &path, None))).await {
            let status = answer?.status;
            anyhow::ensure!(status.is_success(), "GET {path}: {status}");
        }
        self.idle.borrow_mut().append(&mut all);
        Ok(())
    }

    /// Sends requests as they come due, until the plan's length is over and all have a response.
    pub(crate) async fn run(self: Rc<Self>) {
        let mut due = arrivals(self.plan.rate, self.plan.length);
        let zipf = match self.plan.order {
            Order::Zipf(skew) => Zipf::new(self.place.count as f64, skew).ok(),
            Order::Each => None,
        };
        let local = LocalSet::new();
        let sending = async {
            let mut number = 0;
            while let Some(due) = due.recv().await {
                let (chosen, write) = {
                    let mut rng = rand::rng();
                    let chosen = zipf.map_or(number % self.place.count, |zipf| zipf.sample(&mut rng) as u64 - 1);
                    (self.place.first + chosen.min(self.place.count - 1), rng.random_bool(self.plan.writes))
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

    /// Counts a request that is not sent with the time that the oldest request in flight has waited, because it would
    /// have to wait at least as long.
    fn give_up(&self, due: Instant, write: bool) {
        let oldest = self.under_way.borrow().first_key_value().map_or(due, |(_, due)| *due);
        self.seen.borrow_mut().given_up += 1;
        self.unanswered(oldest, write);
    }

    fn unanswered(&self, since: Instant, write: bool) {
        let mut seen = self.seen.borrow_mut();
        let seen = &mut *seen;
        let _ = if write { &mut seen.writes } else { &mut seen.reads }.record(micros(since.elapsed()));
    }

    async fn send(self: Rc<Self>, number: u64, due: Instant, id: u64, write: bool) {
        let _ = self.seen.borrow_mut().late.record(micros(due.elapsed()));
        let idle = self.idle.borrow_mut().pop();
        let done = match idle.map_or_else(|| Connection::new(&self.place.base), Ok) {
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
            self.unanswered(due, write);
            *self.failure.borrow_mut() = Some(format!("{error:#}"));
        }
        self.under_way.borrow_mut().remove(&number);
    }

    async fn read(&self, connection: &mut Connection, due: Instant, id: u64) -> Result<()> {
        let sent = Instant::now();
        let answer = connection.send(Method::GET, &self.path(id), None).await?;
        let took = micros(due.elapsed());
        anyhow::ensure!(answer.status.is_success(), "GET {}: {}", self.path(id), answer.status);
        let shown: Versioned = serde_json::from_slice(&answer.body).context("a product has a version")?;
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
        let made: Versioned = serde_json::from_slice(&answer.body).context("a product has a version")?;
        let _ = self.seen.borrow_mut().writes.record(took);
        // A deferred invalidation promises nothing yet.
        if !answer.cache_status.contains("detail=deferred") {
            self.floors.borrow_mut().entry(id).or_default().acknowledged(made.version, Instant::now());
        }
        Ok(())
    }

    fn path(&self, id: u64) -> String {
        format!("{}{id}", self.place.path)
    }
}

/// The acknowledged versions of a product, with the time of each acknowledgement.
#[derive(Debug, Default)]
struct Floors(VecDeque<(u64, Instant)>);

impl Floors {
    fn acknowledged(&mut self, version: u64, at: Instant) {
        let place = self.0.partition_point(|(known, _)| *known < version);
        self.0.insert(place, (version, at));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// Returns how long `shown` had been replaced by an acknowledged version when a read was sent.
    fn stale_for(&self, shown: u64, sent: Instant) -> Option<Duration> {
        let newer = self.0.partition_point(|(known, _)| *known <= shown);
        let first = self.0.iter().skip(newer).map(|(_, at)| *at).min()?;
        sent.checked_duration_since(first).filter(|stale| !stale.is_zero())
    }
}

/// Returns the times at which requests come due. A separate thread produces them, because the timers of the runtime
/// have a resolution of a millisecond.
#[expect(clippy::disallowed_methods, reason = "on a thread of its own")]
fn arrivals(rate: f64, length: Duration) -> UnboundedReceiver<Instant> {
    let (tell, told) = unbounded_channel();
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
            if tell.send(due).is_err() {
                return;
            }
        }
    });
    told
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_is_stale_since_the_first_newer_version_was_acknowledged() {
        let (mut floors, start) = (Floors::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        floors.acknowledged(3, at(30));
        floors.acknowledged(2, at(20));
        assert_eq!(floors.stale_for(1, at(50)), Some(Duration::from_millis(30)));
        assert_eq!(floors.stale_for(2, at(50)), Some(Duration::from_millis(20)));
        assert_eq!(floors.stale_for(3, at(50)), None);
        assert_eq!(floors.stale_for(1, at(20)), None, "it was sent when nothing newer had been acknowledged");
    }

    #[tokio::test]
    async fn unanswered_request_counts_with_its_duration() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap());
        let place = Place { name: String::new(), base, path: "/".to_owned(), first: 1, count: 1 };
        let plan = Plan { rate: 1.0, writes: 0.0, order: Order::Each, length: Duration::ZERO };
        let (stream, began) = (Stream::new(&place, plan), Instant::now());
        drop(silent); // the port refuses from now on
        let old = began.checked_sub(Duration::from_secs(3)).unwrap();
        stream.under_way.borrow_mut().insert(1, old);
        stream.give_up(Instant::now(), false);
        Rc::clone(&stream).send(2, began, 1, true).await;
        let seen = stream.take();
        assert_eq!((seen.given_up, seen.failed), (1, 1));
        assert_eq!((seen.reads.len(), seen.writes.len(), seen.late.len()), (1, 1, 1));
        assert!(seen.reads.max() >= 3_000_000, "as long as the oldest that is under way has waited");
        assert!(seen.from(Source::Hit).is_empty(), "it is nobody's hit");
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
