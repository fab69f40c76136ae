//! Where faults are made: private processes, or the running stack by its script, natively or in Compose.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::ground::Ground;
use crate::world::{Service, Wires, World};

/// What can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Redis,
    Postgres,
    Service(Service),
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Service(service) => service.name(),
        }
    }
}

/// The system that is put under load.
#[derive(Debug)]
pub(super) enum Site {
    /// Private processes, which end with this.
    Private(Box<World>),
    /// The running stack.
    Stack(PathBuf),
}

impl Site {
    pub(super) async fn kill(&self, part: Part) -> Result<()> {
        match (self, part) {
            (Self::Private(world), Part::Redis) => world.redis.kill().await,
            (Self::Private(world), Part::Postgres) => world.postgres.kill().await,
            (Self::Private(world), Part::Service(service)) => world.kill(service).await,
            (Self::Stack(_), part) => self.script(&["signal", part.name(), "KILL"]).await.map(drop),
        }
    }

    /// In good order.
    pub(super) async fn stop(&self, part: Part) -> Result<()> {
        match (self, part) {
            (Self::Private(world), Part::Redis) => world.redis.stop().await,
            (Self::Private(world), Part::Postgres) => world.postgres.stop().await,
            (Self::Private(world), Part::Service(service)) => world.kill(service).await,
            (Self::Stack(_), part) => self.script(&["stop", part.name()]).await.map(drop),
        }
    }

    /// After a kill or a stop.
    pub(super) async fn start(&self, part: Part) -> Result<()> {
        match (self, part) {
            (Self::Private(world), Part::Redis) => world.redis.restart().await,
            (Self::Private(world), Part::Postgres) => world.postgres.restart().await,
            (Self::Private(world), Part::Service(service)) => world.revive(service).await,
            (Self::Stack(_), part) => self.script(&["start", part.name()]).await.map(drop),
        }
    }

    pub(super) async fn pause(&self, part: Part) -> Result<()> {
        match (self, part) {
            (Self::Private(world), Part::Redis) => world.redis.pause(),
            (Self::Private(world), Part::Postgres) => world.postgres.pause(),
            (Self::Private(world), Part::Service(service)) => world.pause(service).await,
            (Self::Stack(_), part) => self.script(&["signal", part.name(), "STOP"]).await.map(drop)?,
        }
        Ok(())
    }

    pub(super) async fn resume(&self, part: Part) -> Result<()> {
        match (self, part) {
            (Self::Private(world), Part::Redis) => world.redis.resume(),
            (Self::Private(world), Part::Postgres) => world.postgres.resume(),
            (Self::Private(world), Part::Service(service)) => world.resume(service).await,
            (Self::Stack(_), part) => self.script(&["signal", part.name(), "CONT"]).await.map(drop)?,
        }
        Ok(())
    }

    /// The wires that can be cut, where there are any.
    pub(super) fn wires(&self) -> Option<&Wires> {
        match self {
            Self::Private(world) => world.wires.as_ref(),
            Self::Stack(_) => None,
        }
    }

    async fn script(&self, arguments: &[&str]) -> Result<String> {
        let Self::Stack(script) = self else { anyhow::bail!("a private system has no script") };
        let output = Command::new(script).args(arguments).stdin(Stdio::null()).output().await;
        let output = output.with_context(|| format!("running {}", script.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{} {}`: {}", script.display(), arguments.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Ground for Site {
    async fn redis(&self, arguments: &[&str]) -> Result<String> {
        match self {
            Self::Private(world) => world.redis.cli(arguments).await,
            Self::Stack(_) => self.script(&[&["redis-cli"], arguments].concat()).await,
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
            Self::Private(world) => world.postgres.sql(database, sql).await,
            Self::Stack(_) => Ok(self.script(&[of, &quiet].concat()).await?.trim_end().to_owned()),
        }
    }

    async fn url(&self, service: Service) -> Result<String> {
        match self {
            Self::Private(world) => Ok(world.url(service)),
            Self::Stack(_) => Ok(self.script(&["url", service.name()]).await?.trim().to_owned()),
        }
    }
}
