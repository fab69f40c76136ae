//! The target of the faults: private processes, or the running stack by its script, natively or in Compose.

use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result};
use testkit::private_system::{PrivateSystem, Proxies, Replica, Service};

use super::stack::{Stack, StoreClient, running};

use crate::system::System;

/// A component that a fault can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    Redis,
    Postgres,
    Service(Replica),
}

impl Component {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Service(replica) => replica.name(),
        }
    }
}

/// The system that is put under load.
#[derive(Debug)]
pub(super) enum Target {
    /// Private processes, which end when this value is dropped.
    Private(Box<PrivateSystem>),
    Stack(Box<Stack>),
}

impl Target {
    /// Returns the name of the target, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Private(_) => "private processes".to_owned(),
            Self::Stack(stack) => format!("the running stack ({})", stack.kind),
        }
    }

    /// Returns the kind of target, for file names.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Private(_) => "private",
            Self::Stack(stack) => &stack.kind,
        }
    }

    pub(super) async fn kill(&self, part: Component) -> Result<()> {
        match (self, part) {
            (Self::Private(system), Component::Redis) => system.redis.kill().await,
            (Self::Private(system), Component::Postgres) => system.postgres.kill().await,
            (Self::Private(system), Component::Service(service)) => system.kill(service).await,
            (Self::Stack(stack), part) => stack.run(&["signal", part.name(), "KILL"]).await.map(drop),
        }
    }

    /// Stops a component in an orderly way.
    pub(super) async fn stop(&self, part: Component) -> Result<()> {
        match (self, part) {
            (Self::Private(system), Component::Redis) => system.redis.stop().await,
            (Self::Private(system), Component::Postgres) => system.postgres.stop().await,
            (Self::Private(system), Component::Service(service)) => system.kill(service).await,
            (Self::Stack(stack), part) => stack.run(&["stop", part.name()]).await.map(drop),
        }
    }

    /// Starts a component after a kill or a stop. A running component is not changed.
    pub(super) async fn start(&self, part: Component) -> Result<()> {
        match (self, part) {
            (Self::Private(system), Component::Redis) if system.redis.is_alive() => Ok(()),
            (Self::Private(system), Component::Postgres) if system.postgres.is_alive() => Ok(()),
            (Self::Private(system), Component::Redis) => system.redis.restart().await,
            (Self::Private(system), Component::Postgres) => system.postgres.restart().await,
            (Self::Private(system), Component::Service(service)) => system.start_and_wait(service).await,
            (Self::Stack(stack), part) => stack.run(&["start", part.name()]).await.map(drop),
        }
    }

    /// Does the same, but does not wait until a private service is ready: the next fault may happen during its start.
    pub(super) async fn start_without_waiting(&self, part: Component) -> Result<()> {
        match (self, part) {
            (Self::Private(system), Component::Service(service)) => system.start_without_waiting(service).await,
            _ => self.start(part).await,
        }
    }

    pub(super) async fn pause(&self, part: Component) -> Result<()> {
        match (self, part) {
            (Self::Private(system), Component::Redis) => system.redis.pause(),
            (Self::Private(system), Component::Postgres) => system.postgres.pause(),
            (Self::Private(system), Component::Service(service)) => system.pause(service).await,
            (Self::Stack(stack), part) => stack.run(&["signal", part.name(), "STOP"]).await.map(drop)?,
        }
        Ok(())
    }

    pub(super) async fn resume(&self, part: Component) -> Result<()> {
        match (self, part) {
            (Self::Private(system), Component::Redis) => system.redis.resume(),
            (Self::Private(system), Component::Postgres) => system.postgres.resume(),
            (Self::Private(system), Component::Service(service)) => system.resume(service).await,
            (Self::Stack(stack), part) => stack.run(&["signal", part.name(), "CONT"]).await.map(drop)?,
        }
        Ok(())
    }

    /// Gives Redis a disk to which it can save, if it has none. Redis is restarted for this, and is empty.
    pub(super) async fn enable_saving(&self) -> Result<()> {
        let Self::Stack(stack) = self else { return Ok(()) };
        stack.on_disk.store(true, Relaxed);
        stack.run(&["start", "redis"]).await.map(drop)
    }

    /// Removes the saved data, and restarts the Redis of a stack without a disk.
    pub(super) async fn delete_saved_data(&self) -> Result<()> {
        match self {
            Self::Private(system) => {
                let saved = system.redis.directory().join("dump.rdb");
                if saved.exists() {
                    std::fs::remove_file(saved).context("the file that Redis has saved cannot be removed")
                } else {
                    Ok(())
                }
            }
            Self::Stack(stack) => {
                stack.on_disk.store(false, Relaxed);
                stack.run(&["forget", "redis"]).await?;
                stack.run(&["start", "redis"]).await.map(drop)
            }
        }
    }

    /// Adds proxies between the services and their stores, which can be cut.
    pub(super) async fn add_proxies(&mut self) -> Result<()> {
        match self {
            Self::Private(system) => system.add_proxies().await,
            Self::Stack(stack) => stack.add_proxies().await,
        }
    }

    /// Removes the proxies and restarts the services without them. Does nothing if there are none.
    pub(super) async fn leave(&mut self) -> Result<()> {
        match self {
            Self::Stack(stack) if stack.proxies.is_some() => stack.remove_proxies().await,
            _ => Ok(()),
        }
    }

    /// Returns the base URL of a process.
    pub(super) fn url_of(&self, replica: Replica) -> String {
        match self {
            Self::Private(system) => system.url(replica),
            Self::Stack(stack) => stack.url(replica).to_owned(),
        }
    }

    pub(super) fn proxies(&self) -> Result<&Proxies> {
        let proxies = match self {
            Self::Private(system) => system.proxies.as_ref(),
            Self::Stack(stack) => stack.proxies.as_ref(),
        };
        proxies.context("there are no proxies")
    }

    /// Starts a Redis client that keeps running, for many quick commands.
    pub(super) fn redis_cli(&self) -> Result<StoreClient> {
        match self {
            Self::Private(system) => StoreClient::start(system.redis.client()?),
            Self::Stack(stack) => StoreClient::start(stack.command(&["redis-cli"])),
        }
    }

    /// Starts a client of the shop's database that keeps running.
    pub(super) fn psql(&self) -> Result<StoreClient> {
        match self {
            Self::Private(system) => StoreClient::start(system.postgres.client("shop_db")?),
            Self::Stack(stack) => StoreClient::start(stack.command(&["psql", "-X", "-q", "-A", "-t"])),
        }
    }

    /// Returns the end of the output of each private service.
    pub(super) async fn last_words(&self) -> Vec<String> {
        let Self::Private(system) = self else { return Vec::new() };
        let mut words = Vec::new();
        for replica in running() {
            let output = system.output(replica).await;
            let last = output.get(output.len().saturating_sub(2_000)..).unwrap_or_default();
            words.push(format!("the last words of {}:\n{last}", replica.name()));
        }
        words
    }
}

impl System for Target {
    async fn redis(&self, arguments: &[&str]) -> Result<String> {
        match self {
            Self::Private(system) => system.redis.cli(arguments).await,
            Self::Stack(stack) => stack.run(&[&["redis-cli", "-e"], arguments].concat()).await,
        }
    }

    async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let quiet =
            ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql];
        let of: &[&str] = match database {
            "cart_db" => &["psql", "cart"],
            "recommendation_db" => &["psql", "recommendation"],
            _ => &["psql"],
        };
        match self {
            Self::Private(system) => system.postgres.sql(database, sql).await,
            Self::Stack(stack) => stack.run(&[of, &quiet].concat()).await,
        }
    }

    async fn url(&self, service: Service) -> Result<String> {
        Ok(self.url_of(service.first()))
    }

    async fn processes(&self) -> Result<Vec<(Service, String)>> {
        Ok(running().map(|replica| (replica.service, self.url_of(replica))).collect())
    }
}
