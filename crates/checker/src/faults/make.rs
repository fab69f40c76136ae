//! How each fault is prepared, made, ended, proved and cleaned up.
//!
//! The order is `prepare`, `make`, `end_fault`, `prove`, `clear`, with load from before `make` until after `prove`.
//! `end_fault` and `clear` restore everything, whatever the result of the earlier steps, and are harmless when there is
//! nothing to restore. Each fault proves that it happened, because a fault without effect would keep every promise.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testkit::private_system::Service;
use tokio::time::{Instant, sleep};

use super::crash::API;
use super::list::Fault::{
    self, ClientKill, CrashAfterCommit, CrashInDrain, Cut, Delay, FlushAll, Freeze, FullMemory, HalfOpen, Kill,
    RestartEmpty, RestartOld, Stop,
};
use super::probe::{self, Reach, reach};
use super::target::Component::{self, Redis};
use super::target::Target;
use super::{crash, drain};
use crate::system::System;

/// The duration of a fault.
pub(super) const HOLD: Duration = Duration::from_secs(2);

/// A key that no service uses. Its value shows which data Redis has.
const MARK: &str = "checker:mark";

/// State that a fault prepares, and the original settings that it restores.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Further addresses that are cached when the fault begins and are compared when it has ended.
    pub(super) witnesses: Vec<String>,
    /// The original memory limit and eviction policy of Redis.
    memory: Option<(String, String)>,
    /// The original name of the category.
    name: Option<String>,
}

impl Fault {
    /// Prepares the fault, before the load.
    pub(super) async fn prepare(self, site: &Target, prepared: &mut Prepared) -> Result<()> {
        match self {
            RestartOld => site.give_redis_a_disk().await?,
            FullMemory => {
                let limits = (setting(site, "maxmemory").await?, setting(site, "maxmemory-policy").await?);
                prepared.memory = Some(limits);
            }
            CrashAfterCommit => prepared.witnesses = crash::written(site).await?,
            CrashInDrain => {
                prepared.name = Some(drain::name(site).await?);
                prepared.witnesses = drain::products(site).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes the fault and waits for its duration. If this returns without an error, the fault has happened.
    pub(super) async fn make(self, site: &Target, prepared: &Prepared) -> Result<()> {
        match self {
            Stop(part) => {
                site.stop(part).await?;
                is_away(site, part).await?;
                sleep(HOLD).await;
            }
            Kill(part) => {
                site.kill(part).await?;
                is_away(site, part).await?;
                sleep(HOLD).await;
            }
            Freeze(part) => {
                site.pause(part).await?;
                sleep(HOLD).await;
                let reached = reach(site, part).await?;
                ensure!(reached == Reach::Silent, "{} is not frozen: {reached:?}", part.name());
            }
            RestartEmpty => {
                site.redis(&["SET", MARK, "old"]).await?;
                site.kill(Redis).await?;
            }
            RestartOld => {
                site.redis(&["SET", MARK, "old"]).await?;
                site.redis(&["SAVE"]).await?;
                site.redis(&["SET", MARK, "new"]).await?;
                sleep(HOLD).await;
                site.kill(Redis).await?;
            }
            FlushAll => {
                site.redis(&["SET", MARK, "old"]).await?;
                site.redis(&["FLUSHALL"]).await?;
            }
            ClientKill => kill_clients(site).await?,
            FullMemory => {
                site.redis(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb"]).await?;
                sleep(HOLD).await;
                let refused = site.redis(&["SET", MARK, "old"]).await.err().map(|error| format!("{error:#}"));
                ensure!(refused.as_ref().is_some_and(|said| said.contains("OOM")), "Redis takes more: {refused:?}");
            }
            Cut(part) => {
                probe::wire(site, part)?.cut();
                is_away(site, part).await?;
                sleep(HOLD).await;
            }
            HalfOpen(part) => probe::half_open(site, part, HOLD).await?,
            Delay(part, delay) => {
                probe::wire(site, part)?.delay(delay);
                sleep(HOLD).await;
                match reach(site, part).await? {
                    Reach::Answers(took) if took >= delay => {}
                    reached => bail!("its answers are not {delay:?} late: {reached:?}"),
                }
            }
            CrashAfterCommit => {
                crash::after_commit(site).await?;
                is_away(site, API).await?;
            }
            CrashInDrain => {
                drain::interrupted(site, &prepared.witnesses).await?;
                is_away(site, API).await?;
            }
        }
        Ok(())
    }

    /// Ends the fault: every process runs again.
    pub(super) async fn end_fault(self, site: &Target, prepared: &Prepared) -> Result<()> {
        match self {
            Stop(part) | Kill(part) => site.start(part).await,
            Freeze(part) => site.resume(part).await,
            RestartEmpty | RestartOld => site.start(Redis).await,
            FlushAll | ClientKill => Ok(()),
            FullMemory => {
                let Some((limit, policy)) = &prepared.memory else { return Ok(()) };
                site.redis(&["CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", policy]).await?;
                ensure!(setting(site, "maxmemory").await? == *limit, "the memory limit of Redis is not what it was");
                Ok(())
            }
            Cut(part) | HalfOpen(part) | Delay(part, _) => {
                let wire = probe::wire(site, part)?;
                wire.delay(Duration::ZERO);
                wire.restore();
                Ok(())
            }
            CrashAfterCommit | CrashInDrain => {
                let wire = probe::wire(site, Redis)?;
                // The requests of the killed process that the proxy still holds must not arrive now.
                wire.cut();
                wire.release_requests();
                wire.delay(Duration::ZERO);
                wire.restore();
                site.start(API).await
            }
        }
    }

    /// Checks what can be observed only after the fault.
    pub(super) async fn prove(self, site: &Target) -> Result<()> {
        let expected = match self {
            RestartEmpty | FlushAll => "",
            RestartOld => "old",
            _ => return Ok(()),
        };
        let mark = site.redis(&["GET", MARK]).await?;
        ensure!(mark.trim() == expected, "Redis has {mark:?} where {expected:?} was expected");
        Ok(())
    }

    /// Removes all traces of the fault, after the comparison.
    pub(super) async fn clear(self, site: &Target, prepared: &Prepared) -> Result<()> {
        match self {
            RestartOld => site.forget_what_redis_saved().await?,
            CrashInDrain => drain::clear(site, prepared.name.as_deref()).await?,
            RestartEmpty | FlushAll | FullMemory => {}
            _ => return Ok(()),
        }
        site.redis(&["DEL", MARK]).await.map(drop)
    }
}

async fn is_away(site: &Target, part: Component) -> Result<()> {
    let reached = reach(site, part).await?;
    ensure!(!matches!(reached, Reach::Answers(_)), "{} is not away: {reached:?}", part.name());
    Ok(())
}

async fn kill_clients(site: &Target) -> Result<()> {
    let (began, mut closed) = (Instant::now(), 0);
    while began.elapsed() < HOLD {
        for kind in ["normal", "pubsub"] {
            let count = site.redis(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await?;
            closed += count.trim().parse::<u32>().with_context(|| format!("not a number: {count:?}"))?;
        }
        sleep(HOLD / 10).await;
    }
    ensure!(closed >= Service::ALL.len() as u32, "Redis has closed {closed} connections, so not one of each service");
    Ok(())
}

async fn setting(site: &Target, name: &str) -> Result<String> {
    let reply = site.redis(&["CONFIG", "GET", name]).await?;
    Ok(reply.lines().nth(1).unwrap_or_default().trim().to_owned())
}
