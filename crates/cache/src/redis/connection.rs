//! The connection to Redis, and the probe that says whether it can be used.
//!
//! One multiplexed connection carries all commands. Nothing ever waits for a reconnect: a command has one attempt
//! and `command_timeout`, and while the breaker is open none is sent. The probe (`TIME`: health and clock in one)
//! runs once a second, ten times a second while the breaker is open, and closes the breaker only on a server
//! that is safe to use.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, ClusterHash, CustomCommand, InfoKind, RespVersion};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::breaker::Breaker;
use super::clock::Clock;
use super::link::Link;
use crate::outage::Outage;
use crate::{CacheSettings, Health};

const PROBE_CLOSED: Duration = Duration::from_secs(1);
const PROBE_OPEN: Duration = Duration::from_millis(100);
/// Probes without an answer after which the connection is made anew.
const SILENT_PROBES: u32 = 20;
/// How long a start waits for Redis before it goes on without.
const FIRST_PROBE: Duration = Duration::from_secs(2);

/// Why a cache cannot be set up. A Redis that is merely down is not among the reasons.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be read. The message does not repeat it: it may hold a password.
    #[error("the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db")]
    Url(String),
    /// The server may evict the fence table and tag sets, which would make stale reads possible.
    #[error(
        "Redis' maxmemory-policy is `{0}`, which may evict the cache's fence table; set it to `volatile-lru`, another \
         `volatile-*` policy or `noeviction`"
    )]
    EvictionPolicy(String),
    /// The server is older than the scripts need.
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
    pub(crate) link: Link,
    pub(crate) clock: Clock,
    breaker_gauge: metrics::Gauge,
    failures: metrics::Counter,
    health: watch::Sender<Health>,
    outage: Outage,
    /// Which server this is: its `run_id`, anew with every start.
    run: Mutex<Option<String>>,
}

impl Connection {
    /// Opens the connection and waits for the first probe, at most [`FIRST_PROBE`].
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
        let link = Link::of(&client);
        client.connect();

        let gauge = metrics::gauge!("cache_breaker_open", "keyspace" => keyspace.to_owned());
        let breaker = Breaker::new(settings.breaker_threshold);
        gauge.set(1.0);
        let connection = Self {
            client,
            breaker,
            link,
            clock: Clock::new(),
            breaker_gauge: gauge,
            failures: metrics::counter!("cache_redis_failures_total", "keyspace" => keyspace.to_owned()),
            health: watch::Sender::new(Health::Down),
            outage: Outage::default(),
            run: Mutex::default(),
        };
        if let Err(error) = connection.first_probe().await {
            // Or it would go on trying to log in.
            let _ = connection.client.quit().await;
            return Err(error);
        }
        Ok(connection)
    }

    async fn first_probe(&self) -> Result<(), ConnectError> {
        let deadline = Instant::now() + FIRST_PROBE;
        // While there is no connection a probe only times out; why there is none, such as a wrong password, is said here.
        let mut failed = self.client.error_rx();
        loop {
            let error = match self.probe(&|| {}).await {
                Ok(()) => return Ok(()),
                Err(Probe::Unsafe(error)) => return Err(error),
                Err(Probe::Unreachable(error)) => error,
            };
            while let Ok((error, _)) = failed.try_recv() {
                if let Probe::Unsafe(error) = error.into() {
                    return Err(error);
                }
            }
            if Instant::now() >= deadline {
                warn!(%error, "Redis does not answer; starting without it, reads go to the database");
                return Ok(());
            }
            tokio::time::sleep(PROBE_OPEN / 2).await;
        }
    }

    /// Probes until it is dropped. Never returns. Calls `another` before Redis is used again, if it was restarted: what it
    /// holds may be of any age, and it may have forgotten invalidations that were acknowledged.
    pub(crate) async fn keep_probing(&self, another: impl Fn() + Send + Sync) {
        let mut dropped = self.client.error_rx();
        let mut silent: u32 = 0;
        loop {
            let pause = if self.breaker.is_closed() { PROBE_CLOSED } else { PROBE_OPEN };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // A lagged or closed channel says as much as an event: look at the server now.
                _ = dropped.recv() => {
                    self.trip("the connection to Redis dropped");
                    tokio::time::sleep(PROBE_OPEN / 2).await;
                }
            }
            match self.probe(&another).await {
                Ok(()) => silent = 0,
                Err(Probe::Unsafe(error)) => {
                    let unsafe_now = Health::Unsafe(error.to_string());
                    if self.health.send_replace(unsafe_now.clone()) != unsafe_now {
                        error!(%error, "Redis came back in a state that is unsafe for the cache; it stays unused");
                    }
                }
                Err(Probe::Unreachable(error)) => {
                    self.failed(&error);
                    silent += 1;
                    if silent.is_multiple_of(SILENT_PROBES) {
                        // A peer that vanished without a word leaves a connection that looks open for a quarter of an hour.
                        let _ = self.client.force_reconnection().await;
                    }
                }
            }
        }
    }

    async fn probe(&self, another: &(impl Fn() + Send + Sync)) -> Result<(), Probe> {
        let asked = Instant::now();
        let time = CustomCommand::new_static("TIME", ClusterHash::Random, false);
        let (seconds, micros): (u64, u64) =
            self.client.custom(time, Vec::<String>::new()).await.map_err(Probe::from)?;
        self.clock.set(seconds * 1000 + micros / 1000, asked);
        if !self.breaker.is_closed() || !self.link.is_checked() {
            let number = self.link.number();
            let run = self.check_server().await?;
            let before = self.run.lock().unwrap_or_else(PoisonError::into_inner).replace(run.clone());
            let is_first = before.is_none();
            if before.is_some_and(|before| before != run) {
                warn!("Redis was restarted; what it holds is dropped before it is used again");
                another();
            }
            // After `another`: who believes this connection distrusts what it shows. Of one made meanwhile nothing is known.
            self.link.check(number);
            self.breaker.close();
            self.breaker_gauge.set(0.0);
            self.health.send_replace(Health::Up);
            match self.outage.over() {
                Some(over) => {
                    info!(failures = over.times, lasted = ?over.lasted, "Redis answers again; the cache is in use");
                }
                None if is_first => info!("Redis answers; the cache is in use"),
                None => {}
            }
        }
        Ok(())
    }

    /// The start-up check, repeated whenever Redis comes back, because it may be another one: returns its `run_id`.
    async fn check_server(&self) -> Result<String, Probe> {
        let server: String = self.client.info(Some(InfoKind::Server)).await.map_err(Probe::from)?;
        let memory: String = self.client.info(Some(InfoKind::Memory)).await.map_err(Probe::from)?;
        // Valkey reports the Redis version that it is compatible with as 7.2.4 and its own one beside it.
        let version = field(&server, "redis_version").unwrap_or("unknown");
        if version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|major: u32| major < 7) {
            return Err(Probe::Unsafe(ConnectError::Version(version.to_owned())));
        }
        match field(&memory, "maxmemory_policy") {
            Some(policy) if policy.starts_with("allkeys") => {
                Err(Probe::Unsafe(ConnectError::EvictionPolicy(policy.to_owned())))
            }
            _ => Ok(field(&server, "run_id").unwrap_or_default().to_owned()),
        }
    }

    /// A command was not answered in time.
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) {
        self.failures.increment(1);
        if self.breaker.failed() {
            self.opened(error);
        } else if !self.breaker.is_closed() {
            self.outage.failed();
        }
    }

    fn trip(&self, why: &str) {
        if self.breaker.open() {
            self.opened(&why);
        }
    }

    fn opened(&self, error: &dyn std::fmt::Display) {
        self.breaker_gauge.set(1.0);
        self.health.send_replace(Health::Down);
        if self.outage.failed() {
            warn!(%error, "Redis is left alone until it answers a probe; reads go to the database");
        }
    }

    /// Whether Redis is in use just now.
    pub(crate) fn health(&self) -> Health {
        self.health.borrow().clone()
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

enum Probe {
    Unreachable(Error),
    Unsafe(ConnectError),
}

impl From<Error> for Probe {
    fn from(error: Error) -> Self {
        let details = error.details();
        if *error.kind() == ErrorKind::Auth || details.starts_with("NOPERM") || details.starts_with("WRONGPASS") {
            return Self::Unsafe(ConnectError::Login(details.to_owned()));
        }
        Self::Unreachable(error)
    }
}
