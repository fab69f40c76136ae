//! The faults: how each begins and how it ends.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

use super::crash;
use super::site::{Part, Site};
use crate::ground::Ground;
use crate::world::Service;

/// How long one lasts.
pub(super) const HOLD: Duration = Duration::from_secs(2);

/// What is done to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Stopped in good order, away for a while.
    Stop(Part),
    /// `kill -9`, away for a while.
    Kill(Part),
    /// SIGSTOP, for a while.
    Freeze(Part),
    /// `kill -9`, and at once again, with nothing in it.
    RestartEmpty,
    /// `kill -9`, and again with what it held some time ago.
    RestartOld,
    FlushAll,
    /// All connections are closed by Redis, again and again.
    ClientKill,
    /// Redis takes no more data.
    FullMemory,
    /// All connections to it break, and no new one is possible, for a while.
    Cut(Part),
    /// Its connections go dead, and nobody is told.
    HalfOpen(Part),
    /// Its answers come late.
    Delay(Part, Duration),
    /// The product API dies between COMMIT and the invalidation.
    CrashAfterCommit,
    /// The product API dies while it removes the members of a tag.
    CrashInDrain,
}

use Fault::{
    ClientKill, CrashAfterCommit, CrashInDrain, Cut, Delay, FlushAll, Freeze, FullMemory, HalfOpen, Kill, RestartEmpty,
    RestartOld, Stop,
};
use Part::{Postgres, Redis};

/// All of them, in the order in which they are made.
pub(super) const ALL: [Fault; 27] = [
    Stop(Redis),
    Kill(Redis),
    Freeze(Redis),
    RestartEmpty,
    RestartOld,
    FlushAll,
    ClientKill,
    FullMemory,
    Cut(Redis),
    HalfOpen(Redis),
    Delay(Redis, Duration::from_millis(15)),
    Delay(Redis, Duration::from_millis(100)),
    Kill(Part::Service(Service::ProductApi)),
    Freeze(Part::Service(Service::ProductApi)),
    Kill(Part::Service(Service::Cart)),
    Freeze(Part::Service(Service::Cart)),
    Kill(Part::Service(Service::Search)),
    Freeze(Part::Service(Service::Search)),
    Kill(Part::Service(Service::Recommendation)),
    Freeze(Part::Service(Service::Recommendation)),
    Stop(Postgres),
    Kill(Postgres),
    Cut(Postgres),
    HalfOpen(Postgres),
    Delay(Postgres, Duration::from_millis(20)),
    CrashAfterCommit,
    CrashInDrain,
];

impl Fault {
    /// As it is called in the report, and by `--only`.
    pub(super) fn name(self) -> String {
        match self {
            Stop(part) => format!("{} stopped", part.name()),
            Kill(part) => format!("{} killed", part.name()),
            Freeze(part) => format!("{} frozen", part.name()),
            RestartEmpty => "redis restarted empty".to_owned(),
            RestartOld => "redis restarted with older data".to_owned(),
            FlushAll => "redis flushed".to_owned(),
            ClientKill => "redis closes connections".to_owned(),
            FullMemory => "redis has no memory left".to_owned(),
            Cut(part) => format!("{} cut off", part.name()),
            HalfOpen(part) => format!("{} half-open", part.name()),
            Delay(part, delay) => format!("{} {} ms late", part.name(), delay.as_millis()),
            CrashAfterCommit => "product-api dies after COMMIT".to_owned(),
            CrashInDrain => "product-api dies in a tag drain".to_owned(),
        }
    }

    /// Whether it can be made here.
    pub(super) fn is_possible(self, site: &Site) -> bool {
        match self {
            Cut(_) | HalfOpen(_) | Delay(..) | CrashAfterCommit | CrashInDrain => site.wires().is_some(),
            RestartOld => matches!(site, Site::Private(_)),
            _ => true,
        }
    }

    /// Whether only Redis is away: then every read has an answer all the same.
    pub(super) fn is_of_redis_alone(self) -> bool {
        match self {
            RestartEmpty | RestartOld | FlushAll | ClientKill | FullMemory => true,
            Stop(part) | Kill(part) | Freeze(part) | Cut(part) | HalfOpen(part) | Delay(part, _) => part == Redis,
            CrashAfterCommit | CrashInDrain => false,
        }
    }

    /// Whether a process that writes may die between COMMIT and the invalidation.
    pub(super) fn kills_writers(self) -> bool {
        let api = Part::Service(Service::ProductApi);
        self == Kill(api) || matches!(self, CrashAfterCommit | CrashInDrain)
    }

    /// Addresses beside those of the load: they are in a cache when it begins, and are compared when it has ended.
    pub(super) async fn witnesses(self, site: &Site) -> Result<Vec<String>> {
        let urls = match self {
            CrashAfterCommit => crash::written(site).await?,
            CrashInDrain => crash::tagged(site).await?,
            _ => Vec::new(),
        };
        crash::fill(&urls).await?;
        Ok(urls)
    }

    /// Begins, lasts and ends. When this returns, nothing is broken any more.
    pub(super) async fn make(self, site: &Site) -> Result<()> {
        match self {
            Stop(part) => {
                site.stop(part).await?;
                sleep(HOLD).await;
                site.start(part).await
            }
            Kill(part) => {
                site.kill(part).await?;
                sleep(HOLD).await;
                site.start(part).await
            }
            Freeze(part) => {
                site.pause(part).await?;
                sleep(HOLD).await;
                site.resume(part).await
            }
            RestartEmpty => {
                site.kill(Redis).await?;
                site.start(Redis).await
            }
            RestartOld => {
                site.redis(&["SAVE"]).await?;
                sleep(HOLD).await;
                site.kill(Redis).await?;
                site.start(Redis).await?;
                forget_what_was_saved(site).await
            }
            FlushAll => site.redis(&["FLUSHALL"]).await.map(drop),
            ClientKill => {
                let began = Instant::now();
                while began.elapsed() < HOLD {
                    for kind in ["normal", "pubsub"] {
                        site.redis(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await?;
                    }
                    sleep(HOLD / 10).await;
                }
                Ok(())
            }
            FullMemory => full_memory(site).await,
            Cut(part) => {
                let wire = wire(site, part)?;
                wire.cut();
                sleep(HOLD).await;
                wire.mend();
                Ok(())
            }
            HalfOpen(part) => {
                wire(site, part)?.cut_the_cable();
                sleep(HOLD).await;
                Ok(())
            }
            Delay(part, delay) => {
                let wire = wire(site, part)?;
                wire.delay(delay);
                sleep(HOLD).await;
                wire.delay(Duration::ZERO);
                Ok(())
            }
            CrashAfterCommit => crash::after_commit(site).await,
            CrashInDrain => crash::in_a_drain(site).await,
        }
    }
}

fn wire(site: &Site, part: Part) -> Result<&testkit::Proxy> {
    let wires = site.wires().context("there are no wires here")?;
    Ok(if part == Postgres { &wires.postgres } else { &wires.redis })
}

/// Evicts nothing and takes nothing.
async fn full_memory(site: &Site) -> Result<()> {
    let setting = async |name: &str| -> Result<String> {
        let reply = site.redis(&["CONFIG", "GET", name]).await?;
        Ok(reply.lines().nth(1).unwrap_or_default().to_owned())
    };
    let (limit, policy) = (setting("maxmemory").await?, setting("maxmemory-policy").await?);
    site.redis(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb"]).await?;
    sleep(HOLD).await;
    site.redis(&["CONFIG", "SET", "maxmemory", &limit, "maxmemory-policy", &policy]).await?;
    ensure!(setting("maxmemory").await? == limit, "the memory limit of Redis is not what it was");
    Ok(())
}

async fn forget_what_was_saved(site: &Site) -> Result<()> {
    let Site::Private(_) = site else { return Ok(()) };
    let reply = site.redis(&["CONFIG", "GET", "dir"]).await?;
    let folder = reply.lines().nth(1).context("Redis does not say where its files are")?;
    std::fs::remove_file(std::path::Path::new(folder).join("dump.rdb")).context("removing what Redis has saved")
}
