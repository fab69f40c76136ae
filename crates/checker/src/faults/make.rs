//! How each fault is prepared, made, ended, proved and cleaned up.
//!
//! The order is `prepare`, `make`, `end_fault`, `prove`, `clear`, with load from before `make` until after `prove`.
//! `end_fault` and `clear` restore everything, also when an earlier step failed, and have no effect when there is
//! nothing to restore. Each fault proves that it happened, because every promise would be kept under a fault without
//! effect. Probes find whether a component responds, directly or through its proxy.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testkit::Proxy;
use testkit::private_system::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::crash::API;
use super::list::FAULT_DURATION;
use super::list::Fault::{
    self, ClientKill, CrashAfterCommit, CrashInDrain, Cut, Delay, FlushAll, Freeze, FullMemory, HalfOpen, Kill, Near,
    RandomKills, RestartEmpty, RestartOld, Stop,
};
use super::target::Component::{self, Redis};
use super::target::Target;
use super::{crash, drain, near};
use crate::system::System;

/// A key that no service uses. Its value shows which data Redis has.
const MARKER_KEY: &str = "checker:mark";

/// State that a fault prepares, and the original settings that it restores.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Further addresses that are cached when the fault begins and are compared when it has ended.
    pub(super) extra_urls: Vec<String>,
    /// The original memory limit and eviction policy of Redis.
    memory: Option<(String, String)>,
    /// The original name of the category.
    name: Option<String>,
    /// How often each component was killed.
    pub(super) kills: Vec<(&'static str, u32)>,
}

impl Fault {
    /// Prepares the fault, before the load.
    pub(super) async fn prepare(self, target: &Target, prepared: &mut Prepared) -> Result<()> {
        match self {
            RestartOld => target.enable_saving().await?,
            FullMemory => {
                let limits = (setting(target, "maxmemory").await?, setting(target, "maxmemory-policy").await?);
                prepared.memory = Some(limits);
            }
            CrashAfterCommit => prepared.extra_urls = crash::written(target).await?,
            CrashInDrain => {
                prepared.name = Some(drain::name(target).await?);
                prepared.extra_urls = drain::products(target).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes the fault and waits for its duration. If this returns without an error, the fault has happened. `written`
    /// returns the number of acknowledged edits since the load began.
    pub(super) async fn make(self, target: &Target, prepared: &mut Prepared, written: impl Fn() -> u64) -> Result<()> {
        match self {
            Stop(part) => {
                target.stop(part).await?;
                ensure_unreachable(target, part).await?;
                sleep(FAULT_DURATION).await;
            }
            Kill(part) => {
                target.kill(part).await?;
                ensure_unreachable(target, part).await?;
                sleep(FAULT_DURATION).await;
            }
            Freeze(part) => {
                target.pause(part).await?;
                sleep(FAULT_DURATION).await;
                let result = probe(target, part).await?;
                ensure!(result == Probe::Silent, "{} is not frozen: {result:?}", part.name());
            }
            RestartEmpty => {
                target.redis(&["SET", MARKER_KEY, "old"]).await?;
                target.kill(Redis).await?;
            }
            RestartOld => {
                target.redis(&["SET", MARKER_KEY, "old"]).await?;
                target.redis(&["SAVE"]).await?;
                target.redis(&["SET", MARKER_KEY, "new"]).await?;
                sleep(FAULT_DURATION).await;
                target.kill(Redis).await?;
            }
            FlushAll => {
                target.redis(&["SET", MARKER_KEY, "old"]).await?;
                target.redis(&["FLUSHALL"]).await?;
            }
            ClientKill => kill_clients(target).await?,
            FullMemory => {
                target.redis(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb"]).await?;
                sleep(FAULT_DURATION).await;
                let refused = target.redis(&["SET", MARKER_KEY, "old"]).await.err().map(|error| format!("{error:#}"));
                ensure!(
                    refused.as_ref().is_some_and(|said| said.contains("OOM")),
                    "Redis accepted a write beyond its memory limit: {refused:?}"
                );
            }
            Cut(part) => {
                proxy_of(target, part)?.cut();
                ensure_unreachable(target, part).await?;
                sleep(FAULT_DURATION).await;
            }
            HalfOpen(part) => half_open(target, part, FAULT_DURATION).await?,
            Delay(part, delay) => {
                proxy_of(target, part)?.delay(delay);
                sleep(FAULT_DURATION).await;
                match probe(target, part).await? {
                    Probe::Responded(took) if took >= delay => {}
                    result => bail!("responses are not delayed by {delay:?}: {result:?}"),
                }
            }
            Near(fault) => near::make(target, fault).await?,
            CrashAfterCommit => {
                crash::after_commit(target).await?;
                ensure_unreachable(target, API).await?;
            }
            CrashInDrain => {
                drain::interrupted(target, &prepared.extra_urls).await?;
                ensure_unreachable(target, API).await?;
            }
            RandomKills { writes, seed } => {
                prepared.kills = crash::at_random(target, seed, || written() >= writes).await?;
            }
        }
        Ok(())
    }

    /// Ends the fault: every process runs again.
    pub(super) async fn end_fault(self, target: &Target, prepared: &Prepared) -> Result<()> {
        match self {
            Stop(part) | Kill(part) => target.start(part).await,
            Freeze(part) => target.resume(part).await,
            RestartEmpty | RestartOld => target.start(Redis).await,
            FlushAll | ClientKill => Ok(()),
            Near(fault) => near::end(target, fault),
            FullMemory => {
                let Some((limit, policy)) = &prepared.memory else { return Ok(()) };
                target.redis(&["CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", policy]).await?;
                ensure!(setting(target, "maxmemory").await? == *limit, "the memory limit of Redis is not what it was");
                Ok(())
            }
            Cut(part) | HalfOpen(part) | Delay(part, _) => {
                let proxy = proxy_of(target, part)?;
                proxy.delay(Duration::ZERO);
                proxy.restore();
                Ok(())
            }
            CrashAfterCommit | CrashInDrain => {
                let proxy = proxy_of(target, Redis)?;
                // The requests of the killed process that the proxy still holds must not arrive now.
                proxy.cut();
                proxy.release_requests();
                proxy.delay(Duration::ZERO);
                proxy.restore();
                target.start(API).await
            }
            RandomKills { .. } => {
                for victim in crash::VICTIMS {
                    target.start(victim).await?;
                }
                Ok(())
            }
        }
    }

    /// Checks what can be observed only after the fault.
    pub(super) async fn prove(self, target: &Target) -> Result<()> {
        let expected = match self {
            RestartEmpty | FlushAll => "",
            RestartOld => "old",
            _ => return Ok(()),
        };
        let mark = target.redis(&["GET", MARKER_KEY]).await?;
        ensure!(mark.trim() == expected, "Redis has {mark:?} where {expected:?} was expected");
        Ok(())
    }

    /// Removes all traces of the fault, after the comparison.
    pub(super) async fn clear(self, target: &Target, prepared: &Prepared) -> Result<()> {
        match self {
            RestartOld => target.delete_saved_data().await?,
            CrashInDrain => drain::clear(target, prepared.name.as_deref()).await?,
            RestartEmpty | FlushAll | FullMemory => {}
            _ => return Ok(()),
        }
        target.redis(&["DEL", MARKER_KEY]).await.map(drop)
    }
}

async fn ensure_unreachable(target: &Target, part: Component) -> Result<()> {
    let result = probe(target, part).await?;
    ensure!(!matches!(result, Probe::Responded(_)), "{} still responds: {result:?}", part.name());
    Ok(())
}

async fn kill_clients(target: &Target) -> Result<()> {
    let (began, mut closed) = (Instant::now(), 0);
    while began.elapsed() < FAULT_DURATION {
        for kind in ["normal", "pubsub"] {
            let count = target.redis(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await?;
            closed += count.trim().parse::<u32>().with_context(|| format!("not a number: {count:?}"))?;
        }
        sleep(FAULT_DURATION / 10).await;
    }
    ensure!(closed >= Service::ALL.len() as u32, "Redis has closed {closed} connections, so not one of each service");
    Ok(())
}

async fn setting(target: &Target, name: &str) -> Result<String> {
    let reply = target.redis(&["CONFIG", "GET", name]).await?;
    Ok(reply.lines().nth(1).unwrap_or_default().trim().to_owned())
}

/// A component that has not replied after this time counts as silent.
const SILENCE: Duration = Duration::from_millis(500);

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// There was a reply, after this time.
    Responded(Duration),
    /// The connection was refused or closed.
    Closed,
    /// There was no reply.
    Silent,
}

/// Returns the proxy of a store.
pub(super) fn proxy_of(target: &Target, part: Component) -> Result<&Proxy> {
    let proxies = target.proxies()?;
    Ok(if part == Component::Postgres { &proxies.postgres } else { &proxies.redis })
}

/// Probes a store through its proxy, or a service directly.
pub(super) async fn probe(target: &Target, part: Component) -> Result<Probe> {
    let address = match part {
        Component::Service(replica) => target.url_of(replica).trim_start_matches("http://").to_owned(),
        store => proxy_of(target, store)?.address().to_string(),
    };
    let asked = async {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await?;
        ask(&mut stream, part).await.map(|()| began.elapsed())
    };
    Ok(match timeout(SILENCE, asked).await {
        Ok(Ok(took)) => Probe::Responded(took),
        Ok(Err(_)) => Probe::Closed,
        Err(_) => Probe::Silent,
    })
}

/// Makes the existing connections dead for the rest of `hold`, and checks that new connections work.
pub(super) async fn half_open(target: &Target, part: Component, hold: Duration) -> Result<()> {
    let proxy = proxy_of(target, part)?;
    let mut before = TcpStream::connect(proxy.address()).await?;
    ask(&mut before, part).await.context("the request over the live connection failed")?;
    proxy.drop_packets();
    let asked = timeout(SILENCE, ask(&mut before, part)).await;
    ensure!(asked.is_err(), "a dead connection is not silent: {asked:?}");
    let result = probe(target, part).await?;
    ensure!(matches!(result, Probe::Responded(_)), "a new connection does not work: {result:?}");
    sleep(hold.saturating_sub(2 * SILENCE)).await;
    Ok(())
}

/// Sends a request that is answered without a password, and waits for the reply.
async fn ask(stream: &mut TcpStream, part: Component) -> std::io::Result<()> {
    let question: &[u8] = match part {
        // SSLRequest, to which Postgres replies with one byte, yes or no (see "SSLRequest" in its message formats).
        Component::Postgres => &[0, 0, 0, 8, 4, 210, 22, 47],
        Component::Redis => b"PING\r\n",
        Component::Service(_) => b"GET /livez HTTP/1.1\r\nHost: checker\r\n\r\n",
    };
    stream.write_all(question).await?;
    // Reads the whole reply, which is short: a rest would be taken for the reply to the next request.
    match stream.read(&mut [0; 1_024]).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
