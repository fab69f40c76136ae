//! The whole system as private processes: Postgres, Redis and the four services, each of which can be killed and
//! started again at its own port, and can have a second process.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use supervise::Addresses;
pub use supervise::{Replica, Service};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::{ChildProcess, Postgres, Proxy, Redis, RedisCluster, free_port, sibling};

/// Maximum time until a service is ready.
const START: Duration = Duration::from_secs(300);

/// The time limits of the services in tests, unless a test overrides them. A busy machine must not look like a store that is
/// down.
const GENEROUS: [(&str, &str); 3] =
    [("REDIS__COMMAND_TIMEOUT", "2s"), ("REDIS__LOAD_QUEUE", "5s"), ("POSTGRES__WAIT_TIMEOUT", "5s")];

/// The running system. It ends when this value is dropped, and when this process ends for any reason.
#[derive(Debug)]
pub struct PrivateSystem {
    /// One server with three databases.
    pub postgres: Postgres,
    /// One server with four keyspaces. On a cluster, no service uses it.
    pub redis: Redis,
    /// The cluster with the four keyspaces, if the system uses one.
    pub cluster: Option<RedisCluster>,
    /// The proxies between the services and Postgres and Redis, if there are any.
    pub proxies: Option<Proxies>,
    ports: [u16; 8],
    products: u32,
    settings: Vec<(String, String)>,
    index: TempDir,
    running: [Mutex<Option<ChildProcess>>; 8],
}

/// The proxies between the services and their stores.
#[derive(Debug)]
pub struct Proxies {
    /// The proxy for all connections to Postgres.
    pub postgres: Proxy,
    /// The proxy for all connections to Redis.
    pub redis: Proxy,
    /// The proxy before that one, for the connections of second processes.
    pub redis_of_second: Proxy,
}

impl Proxies {
    /// Starts proxies that listen on this address of this machine, for stores on these ports.
    pub async fn at(address: IpAddr, postgres: u16, redis: u16) -> Result<Self> {
        let (postgres, redis) = (Proxy::at(address, postgres).await?, Proxy::at(address, redis).await?);
        Ok(Self { redis_of_second: Proxy::before(&redis).await?, postgres, redis })
    }
}

impl PrivateSystem {
    /// Starts the system for a test: with this number of products, with generous time limits, and with these settings for every
    /// service that has them. What measures the services uses [`prepare`](Self::prepare), because they then have the time limits
    /// of production.
    ///
    /// # Errors
    /// Returns an error if a service is not ready within a minute.
    ///
    /// # Panics
    /// Panics if the services have not been built.
    pub async fn start(products: u32, settings: &[(&str, &str)]) -> Result<Self> {
        Self::prepare(products, &with_generous_limits(settings)).await?.with_services().await
    }

    /// Does the same as [`start`](Self::start), with the keyspaces and streams on a Redis Cluster.
    ///
    /// # Errors
    /// Returns an error if a service is not ready within a minute, or if the cluster does not start.
    pub async fn start_on_cluster(products: u32, settings: &[(&str, &str)]) -> Result<Self> {
        let cluster = Some(RedisCluster::start_with_users().await?);
        let system = Self { cluster, ..Self::prepare(products, &with_generous_limits(settings)).await? };
        system.with_services().await
    }

    /// Starts all services of a system that is prepared.
    ///
    /// # Errors
    /// Returns an error if a service is not ready within a minute.
    ///
    /// # Panics
    /// Panics if the services have not been built.
    pub async fn with_services(self) -> Result<Self> {
        // The product API starts first, because it fills the catalogue. The other services do not wait for each other.
        self.start_and_wait(Service::ProductApi).await?;
        tokio::try_join!(
            self.start_and_wait(Service::Cart),
            self.start_and_wait(Service::Search),
            self.start_and_wait(Service::Recommendation)
        )?;
        Ok(self)
    }

    /// Starts the stores of the system, but no service yet. The services have only these settings besides their own defaults.
    ///
    /// # Errors
    /// Returns an error if Postgres or Redis does not start.
    pub async fn prepare(products: u32, settings: &[(&str, &str)]) -> Result<Self> {
        let (postgres, redis) = tokio::try_join!(Postgres::start(), Redis::start_with_users(&[]))?;
        for database in ["shop_db", "cart_db", "recommendation_db"] {
            postgres.create_database(database).await?;
        }
        Ok(Self {
            postgres,
            redis,
            cluster: None,
            proxies: None,
            ports: std::array::from_fn(|_| free_port()),
            products,
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            index: TempDir::new().context("a folder for the search index")?,
            running: std::array::from_fn(|_| Mutex::new(None)),
        })
    }

    /// Adds proxies: from their next start on, services connect to their stores through proxies that can be cut.
    pub async fn add_proxies(&mut self) -> Result<()> {
        let address = Ipv4Addr::LOCALHOST.into();
        self.proxies = Some(Proxies::at(address, self.postgres.port(), self.redis.port()).await?);
        Ok(())
    }

    /// Freezes a process of a service.
    pub async fn pause(&self, replica: impl Into<Replica>) {
        if let Some(process) = self.running[replica.into().index()].lock().await.as_ref() {
            process.pause();
        }
    }

    /// Resumes a frozen process.
    pub async fn resume(&self, replica: impl Into<Replica>) {
        if let Some(process) = self.running[replica.into().index()].lock().await.as_ref() {
            process.resume();
        }
    }

    /// Returns the base URL of a process of a service: `http://127.0.0.1:port`.
    pub fn url(&self, replica: impl Into<Replica>) -> String {
        format!("http://127.0.0.1:{}", self.ports[replica.into().index()])
    }

    /// Kills a process of a service (`kill -9`).
    pub async fn kill(&self, replica: impl Into<Replica>) -> Result<()> {
        match self.running[replica.into().index()].lock().await.take() {
            Some(process) => process.kill9().await,
            None => Ok(()),
        }
    }

    /// Starts a process that does not run, without waiting until it is ready. A process that has exited by itself is
    /// started again, as its supervisor would do: while a store is unavailable, a start may fail.
    pub async fn start_without_waiting(&self, replica: impl Into<Replica>) -> Result<()> {
        let replica = replica.into();
        let mut running = self.running[replica.index()].lock().await;
        if running.as_ref().is_none_or(|process| !process.is_alive()) {
            *running = Some(ChildProcess::start(&self.command(replica))?);
        }
        Ok(())
    }

    /// Starts a process that does not run, and waits until it is ready.
    pub async fn start_and_wait(&self, replica: impl Into<Replica>) -> Result<()> {
        let (replica, deadline) = (replica.into(), Instant::now() + START);
        loop {
            self.start_without_waiting(replica).await?;
            let running = self.running[replica.index()].lock().await;
            let process = running.as_ref().context("the reference was not started")?;
            match process.wait_for_http(&format!("{}/readyz", self.url(replica)), START).await {
                Err(_) if !process.is_alive() && Instant::now() < deadline => {}
                outcome => return outcome,
            }
        }
    }

    /// Returns the output of a process so far.
    pub async fn output(&self, replica: impl Into<Replica>) -> String {
        self.running[replica.into().index()].lock().await.as_ref().map(ChildProcess::output).unwrap_or_default()
    }

    /// Returns the id of a process, if it runs.
    pub async fn pid(&self, replica: impl Into<Replica>) -> Option<u32> {
        self.running[replica.into().index()].lock().await.as_ref().map(ChildProcess::pid)
    }

    /// Returns the number of outbox rows that are not done, and the greatest lag of a consumer or of the search index, in
    /// events.
    ///
    /// # Errors
    /// Returns an error if a database or a consumer does not respond, or if a consumer does not show its lag.
    pub async fn lag(&self, http: &Client) -> Result<(i64, f64)> {
        let (mut undone, mut greatest) = (0, 0.0_f64);
        for database in ["shop_db", "cart_db"] {
            let count = self.postgres.sql(database, "SELECT count(*) FROM outbox WHERE done_at IS NULL").await?;
            undone += count.parse::<i64>()?;
        }
        for service in Service::SUBSCRIBERS {
            let answer = http.get(format!("{}/metrics", self.url(service))).send().await?.error_for_status()?;
            let metrics = answer.text().await?;
            let lag = greatest_lag(&metrics);
            greatest = greatest.max(lag.with_context(|| format!("{} does not show its lag", service.name()))?);
            // An index that is being rebuilt can be behind although the consumer is not.
            if let Some(position) = value(&metrics, "search_index_position") {
                let head = self.postgres.sql("shop_db", "SELECT seq FROM outbox_head").await?;
                greatest = greatest.max(head.parse::<f64>()? - position);
            }
        }
        Ok((undone, greatest))
    }

    /// Waits until every event is published, and applied by every consumer.
    ///
    /// # Errors
    /// Returns an error if that takes longer than `at_most`, or for the reasons of [`lag`](Self::lag).
    pub async fn until_applied(&self, http: &Client, at_most: Duration) -> Result<()> {
        let began = Instant::now();
        while self.lag(http).await? != (0, 0.0) {
            ensure!(began.elapsed() < at_most, "the events are not applied within {at_most:?}");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn command(&self, replica: Replica) -> Command {
        let service = replica.service;
        let mut command = Command::new(sibling(service.name()));
        let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        // A service would refuse a setting that it does not have.
        let settings = self.settings.iter().filter(|(name, _)| service.has_section(checkout, name));
        command.envs(settings.map(|(name, value)| (name, value)));
        command.env("HTTP__HOST", "127.0.0.1").env("HTTP__PORT", self.ports[replica.index()].to_string());
        if service == Service::ProductApi {
            command.env("SEED_PRODUCTS", self.products.to_string());
        }
        let through = |url: String, port: u16, proxy: Option<&Proxy>| match proxy {
            Some(proxy) => url.replace(&format!(":{port}"), &format!(":{}", proxy.port())),
            None => url,
        };
        let proxies = self.proxies.as_ref();
        let to_postgres = proxies.map(|all| &all.postgres);
        let to_redis = proxies.map(|all| if replica.is_second { &all.redis_of_second } else { &all.redis });
        command.envs(service.connections(Addresses {
            service: &|service| self.url(service),
            database: &|name| through(self.postgres.url(&format!("{name}_db")), self.postgres.port(), to_postgres),
            redis: &|user| match &self.cluster {
                Some(cluster) => cluster.url_of(user),
                None => through(self.redis.url_of(user), self.redis.port(), to_redis),
            },
            index: &self.index.path().join(replica.name()),
        }));
        command
    }
}

/// Returns these settings after the generous limits, so that they override those.
fn with_generous_limits<'a>(settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    GENEROUS.into_iter().chain(settings.iter().copied()).collect()
}

/// Returns the greatest lag in the metrics of a consumer, or `None` if they have none.
fn greatest_lag(metrics: &str) -> Option<f64> {
    let lags = metrics.lines().filter(|line| line.starts_with("events_lag{"));
    lags.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).reduce(f64::max)
}

/// Returns the value of a metric without labels.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let (_, value) = metrics.lines().filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == name)?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;
    use std::process::Command;

    use super::{GENEROUS, Service, greatest_lag, value, with_generous_limits};

    #[test]
    fn settings_of_a_test_override_the_generous_limits() {
        let mut command = Command::new("product-api");
        command.envs(with_generous_limits(&[("REDIS__LOAD_QUEUE", "1ms"), ("LOG__FILTER", "warn")]));
        let value =
            |name: &str| command.get_envs().find(|(it, _)| *it == OsStr::new(name)).and_then(|(_, value)| value);
        assert_eq!(value("REDIS__LOAD_QUEUE"), Some(OsStr::new("1ms")));
        assert_eq!(value("REDIS__COMMAND_TIMEOUT"), Some(OsStr::new("2s")));
        assert_eq!(value("LOG__FILTER"), Some(OsStr::new("warn")));
        let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        for (name, _) in GENEROUS {
            assert!(Service::ProductApi.has_section(checkout, name), "{name}");
        }
    }

    #[test]
    fn missing_lag_is_not_a_lag_of_zero() {
        let lags = "events_lag{stream=\"a\"} 0\nevents_lag{stream=\"b\"} 3\nevents_lag_seconds{stream=\"a\"} 9\n";
        assert_eq!(greatest_lag(lags), Some(3.0));
        assert_eq!(greatest_lag("# TYPE events_lag gauge\nevents_lag_seconds{stream=\"a\"} 9\n"), None);
    }

    #[test]
    fn metric_without_labels_is_found_by_its_whole_name() {
        let metrics = "# TYPE search_index_position gauge\nsearch_index_position_at 1\nsearch_index_position 12\n";
        assert_eq!(value(metrics, "search_index_position"), Some(12.0));
        assert_eq!(value(metrics, "search_index"), None);
    }
}
