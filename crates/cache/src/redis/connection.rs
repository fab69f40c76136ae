//! The connection to Redis, and whether it may be used.
//!
//! One multiplexed connection carries all commands. No command waits for a reconnect: it has one attempt and
//! `command_timeout`, and none is sent while the breaker is open. The breaker opens when Redis does not answer, or
//! answers with an error that names a state in which a read could be stale. The probe closes it (`probe.rs`).

use std::mem;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface, KeysInterface};
use fred::types::Key;
use fred::types::config::Server;
use redis_connect::{RedisAddress, RedisClients};
use tokio::sync::broadcast::Receiver;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::breaker::Breaker;
use super::clock::{OffsetEstimate, TimeReply};
use super::error::{Result, StoreError};
use super::server::{Identity, classify_error};
use super::trust::Trust;
use crate::health::{Health, Reason};
use crate::incarnation::IncarnationRecord;
use crate::keyspace::Keyspace;
use crate::recurring_failure::RecurringFailure;
use crate::settings::CacheSettings;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) client: Client,
    breaker: Breaker,
    epoch: ConnectionEpoch,
    pub(super) trust: Trust,
    clock: Clock,
    breaker_gauge: metrics::Gauge,
    failures: metrics::Counter,
    health: watch::Sender<Health>,
    /// The server that was used last, and the number of its connection.
    pub(super) server: Mutex<Option<(Identity, usize)>>,
    /// Whether a state has begun after which entries may be outdated.
    pub(super) outdated: AtomicBool,
    /// When Redis last refused something to this user, and what.
    pub(super) forbidden: Mutex<Option<(Instant, String)>>,
    /// Reports that Redis does not answer.
    silence: RecurringFailure,
    pub(super) is_cluster: bool,
    pub(super) partitions: Partitions,
}

/// The number of partitions of a keyspace, and the key under which its first process has stored that number.
#[derive(Debug)]
pub(super) struct Partitions {
    pub(super) count: u16,
    pub(super) key: String,
}

/// The epoch of the connection: whether the server that answers has been verified.
///
/// A command on a broken connection waits in the client library for the next connection. The server that then answers
/// may be another one than the one that was verified last, and may have lost acknowledged invalidations (ADR 10). So a
/// reply counts only if no connection has been made since the verification. This is exact and does not depend on
/// timing: fred announces a new connection before it sends anything over it.
#[derive(Debug)]
struct ConnectionEpoch {
    /// Never received from, so it holds one announcement for each connection so far.
    announced: Receiver<Server>,
    verified: AtomicUsize,
}

/// Redis' time, read without a round trip.
///
/// Ages are measured on one clock: that of the server that wrote the entry. The probe reads `TIME` twice a second; in
/// between, the monotonic clock of this process advances it. Wall clocks of clients are never compared.
#[derive(Debug)]
struct Clock {
    started: Instant,
    offset_us: AtomicI64,
    estimate: Mutex<OffsetEstimate>,
}

impl Connection {
    /// Creates the connection and begins to connect. It is in use once a probe has succeeded.
    pub(super) fn open(
        address: &RedisAddress, settings: &CacheSettings, keyspace: &Keyspace,
        record: Option<Arc<dyn IncarnationRecord>>,
    ) -> Self {
        let client = address.client(settings.command_timeout);
        let epoch = ConnectionEpoch { announced: client.reconnect_rx(), verified: AtomicUsize::new(0) };
        client.connect();
        let breaker_gauge = metrics::gauge!("cache_breaker_open", "keyspace" => keyspace.name().to_owned());
        breaker_gauge.set(1.0);
        Self {
            client,
            breaker: Breaker::new(settings.breaker_threshold),
            epoch,
            trust: Trust::new(record),
            clock: Clock { started: Instant::now(), offset_us: AtomicI64::new(0), estimate: Mutex::default() },
            breaker_gauge,
            failures: metrics::counter!("cache_redis_failures_total", "keyspace" => keyspace.name().to_owned()),
            health: watch::Sender::new(Health::Down(Reason::NoAnswer)),
            server: Mutex::default(),
            outdated: AtomicBool::new(false),
            forbidden: Mutex::default(),
            silence: RecurringFailure::default(),
            is_cluster: address.is_cluster(),
            partitions: Partitions { count: keyspace.partitions(), key: format!("{}:~partitions", keyspace.name()) },
        }
    }

    /// Returns whether commands may be sent to Redis. The lease is checked here as well as on the reply: a command that was
    /// sent without a lease may have been carried out before a purge, and be answered after it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.breaker.is_closed() && self.trust.holds()
    }

    /// Fails if no command may be sent.
    pub(super) fn ready(&self) -> Result<()> {
        match self.is_in_use() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("left alone until it answers a probe".to_owned())),
        }
    }

    /// Returns the value of a reply, if the server that gave it is verified; records a failure.
    pub(super) fn accept<T>(&self, reply: std::result::Result<T, Error>) -> Result<T> {
        let error = match reply {
            Ok(value) => {
                self.breaker.answered();
                return match self.is_verified() {
                    true => Ok(value),
                    false => Err(StoreError::Unavailable("connection not yet verified".to_owned())),
                };
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Backpressure => {
                self.failed(&error);
                Err(StoreError::Unavailable(error.details().to_owned()))
            }
            _ => {
                self.breaker.answered();
                self.refused(error.details());
                Err(StoreError::Server(error.details().to_owned()))
            }
        }
    }

    /// Returns the number of the verification of the current connection; `None` while it is not verified.
    ///
    /// A connection that the cache opens without fred remembers it: its replies count only until the client verifies a
    /// server again.
    pub(super) fn verification(&self) -> Option<usize> {
        self.is_verified().then(|| self.epoch.verified.load(SeqCst))
    }

    /// Returns whether the server that gave the replies received so far is verified, and trusted by the source of truth.
    fn is_verified(&self) -> bool {
        self.epoch.is_verified() && self.trust.holds()
    }

    /// Returns the value of a reply over a connection that the cache opened without fred and compared with the server
    /// at this verification; records a failure.
    pub(super) fn accept_from<T>(&self, verification: usize, reply: std::result::Result<T, Error>) -> Result<T> {
        let value = self.accept(reply)?;
        match self.verification() == Some(verification) {
            true => Ok(value),
            false => Err(StoreError::Unavailable("connection not yet verified".to_owned())),
        }
    }

    /// Removes these keys, and returns how many existed. With an entry it removes any lease on it.
    pub(crate) async fn unlink<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.ready()?;
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        self.accept(self.client.unlink(keys).await)
    }

    /// Returns milliseconds since 1970 by Redis' clock. Meaningful once the breaker has closed for the first time,
    /// which requires a probe; nothing is read from Redis before that.
    pub(crate) fn now_ms(&self) -> u64 {
        let since_start = self.clock.started.elapsed().as_micros() as i64;
        ((self.clock.offset_us.load(Relaxed) + since_start) / 1_000).max(0) as u64
    }

    /// Returns the run id of the server that was verified last; `None` if the server hides its run id.
    pub(crate) fn run_id(&self) -> Option<String> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().and_then(|(identity, _)| identity.run_id().map(str::to_owned))
    }

    /// Returns the id of the register of holders on the server that was verified last: its run id, and the id of its
    /// dataset, which changes when a server becomes the primary again.
    pub(super) fn register_id(&self) -> Option<String> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().and_then(|(identity, _)| identity.register_id())
    }

    /// Adjusts the clock to the replies of the servers.
    pub(super) fn adjust_clock(&self, replies: &[TimeReply]) {
        let mut estimate = self.clock.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offset) = estimate.add(replies, self.clock.started) {
            self.clock.offset_us.store(offset, Relaxed);
        }
    }

    /// Returns the number of the current connection, or of the last one.
    pub(super) fn number(&self) -> usize {
        self.epoch.announced.len()
    }

    /// Marks the server of this connection as verified.
    pub(super) fn verify(&self, number: usize) {
        self.epoch.verified.store(number, SeqCst);
    }

    /// Records that a command was not answered in time.
    pub(super) fn failed(&self, error: &dyn std::fmt::Display) {
        self.failures.increment(1);
        if self.breaker.failed() {
            debug!(%error, "Redis did not answer");
            self.leave(Reason::NoAnswer);
        }
    }

    /// Records an error reply: it may name a state in which Redis must not be used, before the probe detects it.
    fn refused(&self, error: &str) {
        match classify_error(error) {
            Some(Reason::Forbidden(what)) => {
                *self.forbidden.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), what))
            }
            Some(reason) if reason.forbids_use() => self.leave(reason),
            Some(_) | None => {}
        }
    }

    /// Stops using Redis, for this reason, until a probe succeeds.
    pub(super) fn leave(&self, reason: Reason) {
        if reason.makes_entries_suspect() {
            // Before the breaker opens: the probe that closes it reads this flag.
            self.outdated.store(true, SeqCst);
        }
        self.breaker.open();
        self.breaker_gauge.set(1.0);
        self.change(Health::Down(reason));
    }

    /// Uses Redis, with `missing` as the protection that is missing, if any.
    pub(super) fn enter(&self, missing: Option<Reason>) {
        self.breaker.close();
        self.breaker_gauge.set(0.0);
        self.change(missing.map_or(Health::Up, Health::Degraded));
    }

    /// Logs each state once when it begins, and once when it ends. A silence that comes and goes is logged every few
    /// seconds.
    fn change(&self, now: Health) {
        let mut before = None;
        self.health.send_if_modified(|health| {
            let is_new = *health != now;
            if is_new {
                before = Some(mem::replace(health, now.clone()));
            }
            is_new
        });
        let Some(before) = before else { return };
        let was_silent = before.reason() == Some(&Reason::NoAnswer);
        let before = before.reason().map(ToString::to_string);
        // On an overloaded server, silence may come and go several times a second.
        let is_quiet = match now {
            Health::Down(Reason::NoAnswer) => !self.silence.failed(),
            _ => self.silence.recovered().is_none() && was_silent,
        };
        match now {
            Health::Up | Health::Down(Reason::NoAnswer) if is_quiet => {
                debug!(?now, before, "whether the cache uses Redis has changed again");
            }
            Health::Up => info!(before, "Redis answers; the cache uses it"),
            Health::Degraded(reason) => warn!(%reason, before, "the cache uses Redis, but a protection is missing"),
            Health::Down(reason) if reason.needs_operator() => {
                error!(%reason, before, "the cache does not use Redis; reads go to the database");
            }
            Health::Down(reason) => warn!(%reason, before, "the cache does not use Redis; reads go to the database"),
        }
    }

    /// Returns whether Redis is in use now, and what is wrong with it.
    pub(crate) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    pub(crate) async fn close(&self) {
        // The server also notices a dropped connection.
        let _ = self.client.quit().await;
    }
}

impl ConnectionEpoch {
    /// Returns whether the server that gave the replies received so far is verified.
    fn is_verified(&self) -> bool {
        self.verified.load(SeqCst) == self.announced.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incarnation::RecordFuture;

    #[derive(Debug)]
    struct NoRecord;

    impl IncarnationRecord for NoRecord {
        fn load(&self) -> RecordFuture<'_, Option<String>> {
            Box::pin(async { Ok(None) })
        }

        fn replace<'a>(&'a self, _: Option<&'a str>, _: &'a str) -> RecordFuture<'a, bool> {
            Box::pin(async { Ok(false) })
        }
    }

    /// The probe may notice the end of the lease late.
    #[tokio::test]
    async fn reply_counts_only_during_the_lease_on_the_server() {
        let address = RedisAddress::parse("redis://127.0.0.1:1").unwrap();
        let open =
            |record| Connection::open(&address, &CacheSettings::default(), &Keyspace::new("shop").unwrap(), record);
        let (usual, trusting) = (open(None), open(Some(Arc::new(NoRecord) as Arc<dyn IncarnationRecord>)));
        assert!(usual.accept(Ok(1)).is_ok() && usual.verification().is_some());
        assert!(trusting.accept(Ok(1)).is_err() && trusting.verification().is_none());
        for connection in [&usual, &trusting] {
            connection.enter(None);
        }
        assert!(usual.is_in_use() && usual.ready().is_ok());
        assert!(!trusting.is_in_use() && trusting.ready().is_err());
    }
}
