//! The connection to Redis, and whether it may be used.
//!
//! One multiplexed connection carries all commands. No command waits for a reconnect: it has one attempt and
//! `command_timeout`, and none is sent while the breaker is open. The breaker opens when Redis does not answer, or
//! answers with an error that names a state in which a read could be stale. The probe closes it (`probe.rs`).

use std::mem;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, RespVersion};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::breaker::Breaker;
use super::clock::Clock;
use super::epoch::ConnectionEpoch;
use super::server::{Identity, classify_error};
use crate::{CacheSettings, Health, Reason};

/// The reason why a client cannot connect. A Redis that is only down is not one of them.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be parsed. The message does not repeat it, because it may contain a password.
    #[error("the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db")]
    Url(String),
    /// The server may evict the fence table and tag sets, which would make stale reads possible.
    #[error(
        "Redis' maxmemory-policy is `{0}`, which may evict the cache's fence table; set it to `volatile-lru`, another \
         `volatile-*` policy or `noeviction`"
    )]
    EvictionPolicy(String),
    /// The server is older than the scripts require.
    #[error("Redis {0} is too old: at least version 7.0 is needed")]
    Version(String),
    /// The credentials are wrong.
    #[error("Redis refuses the login: {0}")]
    Login(String),
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) breaker: Breaker,
    pub(crate) epoch: ConnectionEpoch,
    pub(crate) clock: Clock,
    breaker_gauge: metrics::Gauge,
    failures: metrics::Counter,
    health: watch::Sender<Health>,
    /// The server that was used last, and the number of its connection.
    pub(super) server: Mutex<Option<(Identity, usize)>>,
    /// Whether a state has begun after which entries may be outdated.
    pub(super) outdated: AtomicBool,
    /// When Redis last refused a command to this user.
    pub(super) forbidden: Mutex<Option<Instant>>,
}

impl Connection {
    /// Opens the connection and waits for the first probe, at most [`FIRST_PROBE`](super::probe::FIRST_PROBE).
    pub(crate) async fn open(settings: &CacheSettings, keyspace: &str) -> Result<Self, ConnectError> {
        if !settings.url.starts_with("redis://") {
            return Err(ConnectError::Url("it does not begin with redis://".to_owned()));
        }
        let mut config =
            Config::from_url(&settings.url).map_err(|error| ConnectError::Url(error.details().to_owned()))?;
        config.version = RespVersion::RESP3;
        config.fail_fast = false;
        let timeout = settings.command_timeout;
        let client = Builder::from_config(config)
            .with_performance_config(|performance: &mut PerformanceConfig| {
                performance.default_command_timeout = timeout
            })
            .with_connection_config(|connection: &mut ConnectionConfig| {
                connection.connection_timeout = Duration::from_millis(500);
                connection.internal_command_timeout = Duration::from_millis(500);
                connection.max_command_attempts = 1;
                connection.reconnect_on_auth_error = true;
                connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
            })
            .set_policy(ReconnectPolicy::new_constant(0, 100))
            .build()
            .map_err(|error| ConnectError::Url(error.details().to_owned()))?;
        let epoch = ConnectionEpoch::of(&client);
        client.connect();

        let gauge = metrics::gauge!("cache_breaker_open", "keyspace" => keyspace.to_owned());
        let breaker = Breaker::new(settings.breaker_threshold);
        gauge.set(1.0);
        let connection = Self {
            client,
            breaker,
            epoch,
            clock: Clock::new(),
            breaker_gauge: gauge,
            failures: metrics::counter!("cache_redis_failures_total", "keyspace" => keyspace.to_owned()),
            health: watch::Sender::new(Health::Down(Reason::NoAnswer)),
            server: Mutex::default(),
            outdated: AtomicBool::new(false),
            forbidden: Mutex::default(),
        };
        if let Err(error) = connection.first_probe().await {
            // Otherwise the client would keep trying to log in.
            let _ = connection.client.quit().await;
            return Err(error);
        }
        Ok(connection)
    }

    /// Records that a command was not answered in time.
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) {
        self.failures.increment(1);
        if self.breaker.failed() {
            debug!(%error, "Redis did not answer");
            self.leave(Reason::NoAnswer);
        }
    }

    /// Records an error reply: it may name a state in which Redis must not be used, before the probe detects it.
    pub(crate) fn refused(&self, error: &str) {
        match classify_error(error) {
            Some(Reason::Forbidden) => {
                *self.forbidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now())
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

    /// Logs each state once when it begins, and once when it ends.
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
        let before = before.reason().map(ToString::to_string);
        match now {
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
}
