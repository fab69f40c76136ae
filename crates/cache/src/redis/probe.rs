//! The probe: determines the state of Redis, and decides whether the client uses it.
//!
//! It sends `TIME` (for the clock), `INFO` (which server, and in which state), and a script that would be allowed to write
//! but does nothing. Redis refuses such a script in every state in which it refuses writes, and writes nothing for it.
//! In a cluster, it sends them to each primary, and asks each whether it sees the majority. Then it compares the number of
//! partitions with that of other processes. The probe runs twice a second, and ten times a second while Redis is not in use.
//!
//! After a state in which invalidations were refused, or in which the dataset may be an older one, the client purges
//! the keyspace before it serves entries from it again (ADR 10).

use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, ClusterInterface, EventInterface, KeysInterface};
use fred::types::SetOptions;
use futures_util::future::try_join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tracing::warn;

use super::connect::ConnectError;
use super::connection::{Connection, Partitions};
use super::node::{Node, ProbeError};
use super::server::{Identity, ServerInfo, classify_error};
use super::trust::REPLACED;
use crate::health::Reason;
use crate::purge_queue::PurgeQueue;

const INTERVAL_IN_USE: Duration = Duration::from_millis(500);
const INTERVAL_NOT_IN_USE: Duration = Duration::from_millis(100);
/// Time without an answer after which the client reconnects. A time and not a number of probes, because the command
/// timeout determines how long a probe takes.
const RECONNECT_AFTER: Duration = Duration::from_secs(3);
/// The number of connection attempts without a reason after which an earlier reason is discarded.
const MAX_UNEXPLAINED_ATTEMPTS: u32 = 20;
/// The number of unanswered probes after which the reason becomes `NoAnswer`: a busy server may be late once.
const MAX_SILENT_PROBES: u32 = 5;
/// How long a start waits for Redis before it continues without Redis.
const FIRST_PROBE: Duration = Duration::from_secs(2);
/// How long a forbidden command is reported after its last refusal.
const FORBIDDEN: Duration = Duration::from_secs(5);

/// The errors of connection attempts, as the client library announces them: a probe only times out during such
/// attempts.
struct ConnectErrors {
    errors: Receiver<(Error, Option<fred::types::config::Server>)>,
    /// The state that the last answered attempt named.
    reason: Option<Reason>,
    /// Attempts since then that named no state.
    unexplained: u32,
}

/// A process that has read nothing from Redis yet.
struct NothingToPurge;

impl PurgeQueue for NothingToPurge {
    fn request_purge(&self) {}

    fn is_purged(&self) -> bool {
        false
    }
}

impl Connection {
    /// Waits for the first answer, at most [`FIRST_PROBE`].
    pub(super) async fn first_probe(&self) -> Result<(), ConnectError> {
        let deadline = Instant::now() + FIRST_PROBE;
        let mut refusals = ConnectErrors { errors: self.client.error_rx(), reason: None, unexplained: 0 };
        loop {
            let error = match self.probe(&NothingToPurge).await {
                Ok(()) => return Ok(()),
                Err(ProbeError::State(reason)) => return self.start_degraded(reason),
                Err(ProbeError::NoAnswer(error)) => error,
            };
            refusals.drain();
            match refusals.reason.clone() {
                Some(reason @ Reason::Login(_)) => return self.start_degraded(reason),
                reason if Instant::now() >= deadline => {
                    warn!(%error, "Redis does not answer; the cache starts without it, and reads go to the database");
                    self.leave(reason.unwrap_or(Reason::NoAnswer));
                    return Ok(());
                }
                _ => tokio::time::sleep(INTERVAL_NOT_IN_USE / 2).await,
            }
        }
    }

    /// Fails the start for a reason that only an operator can remove; starts without Redis for any other.
    fn start_degraded(&self, reason: Reason) -> Result<(), ConnectError> {
        match reason {
            Reason::Login(said) => Err(ConnectError::Login(said)),
            Reason::EvictionPolicy(policy) => Err(ConnectError::EvictionPolicy(policy)),
            Reason::Version(version) => Err(ConnectError::Version(version)),
            Reason::Partitions(text) => Err(ConnectError::Partitions(text)),
            Reason::ClusterNode => Err(ConnectError::ClusterNode),
            reason => {
                self.leave(reason);
                Ok(())
            }
        }
    }

    /// Probes until the future is dropped. Never returns.
    ///
    /// Before Redis is used again, requests a purge if its entries may be outdated: the server was restarted or replaced,
    /// or has refused invalidations.
    pub(crate) async fn run_probe(&self, purges: &impl PurgeQueue) {
        let mut refusals = ConnectErrors { errors: self.client.error_rx(), reason: None, unexplained: 0 };
        let mut silent: u32 = 0;
        // The time of the last answer, or of the last forced reconnect.
        let mut since = Instant::now();
        let mut reconnected = Instant::now();
        loop {
            let pause = if self.is_in_use() { INTERVAL_IN_USE } else { INTERVAL_NOT_IN_USE };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // A lagged or closed channel counts as an event: probe the server now.
                dropped = refusals.errors.recv() => {
                    refusals.hear(dropped.ok().map(|(error, _)| error));
                    if self.is_in_use() {
                        self.leave(refusals.reason.clone().unwrap_or(Reason::NoAnswer));
                    }
                    tokio::time::sleep(INTERVAL_NOT_IN_USE / 2).await;
                }
            }
            let probed = self.probe(purges).await;
            if !matches!(probed, Err(ProbeError::NoAnswer(_))) {
                since = Instant::now();
            }
            match probed {
                Ok(()) => (silent, refusals.reason) = (0, None),
                Err(ProbeError::State(reason)) => {
                    (silent, refusals.reason) = (0, None);
                    let is_replaced = [Reason::Replica, Reason::Incarnation(REPLACED)].contains(&reason);
                    self.leave(reason);
                    if is_replaced && reconnected.elapsed() >= RECONNECT_AFTER {
                        reconnected = Instant::now();
                        // After a failover, the address or the sentinels lead to another server, but this connection
                        // does not.
                        let _ = self.client.force_reconnection().await;
                    }
                }
                Err(ProbeError::NoAnswer(error)) => {
                    self.failed(&error);
                    silent += 1;
                    refusals.drain();
                    if let Some(reason) = refusals.reason.clone() {
                        self.leave(reason);
                    } else if silent >= MAX_SILENT_PROBES {
                        self.leave(Reason::NoAnswer);
                    }
                    if since.elapsed() >= RECONNECT_AFTER {
                        since = Instant::now();
                        // A peer that vanished without closing the connection leaves one that looks open for a quarter
                        // of an hour.
                        let _ = self.client.force_reconnection().await;
                    }
                }
            }
        }
    }

    async fn probe(&self, purges: &impl PurgeQueue) -> Result<(), ProbeError> {
        self.adjust_clock(&try_join_all(self.nodes()?.iter().map(Node::time)).await?);
        // The connection's number is read after a reply, which needs a connection, and before the states: a connection
        // that is made in between stays unverified. Then the nodes are read again: fred knows a new node before it
        // connects to it.
        let number = self.number();
        let nodes = self.nodes()?;
        let (servers, refused): (Vec<_>, Vec<_>) =
            try_join_all(nodes.iter().map(Node::state)).await?.into_iter().unzip();
        let (server, refused) = (ServerInfo::of_all(servers), refused.into_iter().flatten().next());
        if server.is_cluster_node && !self.is_cluster {
            return Err(ProbeError::State(Reason::ClusterNode));
        }
        let refused = refused.or(self.check_partitions(nodes.len()).await?);
        self.trust.check(&server.identity, purges).await?;
        self.compare(&server.identity, number, purges);
        // After the purge is requested, so that a reader that trusts this connection already distrusts its entries. A
        // connection made in the meantime stays unverified.
        self.verify(number);
        self.enter(refused.or_else(|| self.was_forbidden()).or_else(|| server.missing_protection()));
        Ok(())
    }

    /// Returns the servers that have the entries: one, or the primaries of the cluster.
    fn nodes(&self) -> Result<Vec<Node>, ProbeError> {
        if !self.is_cluster {
            return Ok(vec![Node::of(&self.client, None)]);
        }
        let primaries =
            self.client.cached_cluster_state().map(|state| state.unique_primary_nodes()).unwrap_or_default();
        match primaries.is_empty() {
            true => Err(ProbeError::NoAnswer(Error::new(ErrorKind::Cluster, "no node of the cluster is known yet"))),
            false => Ok(primaries.into_iter().map(|server| Node::of(&self.client, Some(server))).collect()),
        }
    }

    /// Checks at each probe that all processes have the same number of partitions. A process with several partitions
    /// stores its number if none is stored; a process with one partition only reads the number. Returns the reason if
    /// Redis refuses the command.
    async fn check_partitions(&self, primaries: usize) -> Result<Option<Reason>, ProbeError> {
        let Partitions { count, key } = &self.partitions;
        let refusal = |text| Err(ProbeError::State(Reason::Partitions(text)));
        if self.is_cluster && *count == 1 {
            return refusal("a keyspace on a cluster needs several partitions, and it has one".to_owned());
        }
        if primaries > usize::from(*count) {
            return refusal(format!(
                "a cluster of {primaries} primaries needs at least as many partitions, and the keyspace has {count}"
            ));
        }
        let found: Result<Option<String>, Error> = match count {
            1 => self.client.getrange(key, 0, 9).await,
            count => self.client.set(key, *count, None, Some(SetOptions::NX), true).await,
        };
        match found {
            Ok(Some(other)) if !other.is_empty() && other != count.to_string() => refusal(format!(
                "another process of the keyspace has {other} partitions (`{key}`), and this one has {count}"
            )),
            Ok(_) => Ok(None),
            Err(error) => match classify_error(error.details()) {
                Some(reason) if !reason.forbids_use() => Ok(Some(reason)),
                _ => Err(ProbeError::of(error)),
            },
        }
    }

    /// Distrusts all entries if the server is or may be another one than before, or has refused invalidations.
    fn compare(&self, identity: &Identity, number: usize, purges: &impl PurgeQueue) {
        let mut known = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.replace((identity.clone(), number));
        let is_same =
            before.is_none_or(|(before, connection)| before.is_same(identity).unwrap_or(connection == number));
        let was_outdated = self.outdated.swap(false, SeqCst);
        if !is_same {
            warn!("Redis was restarted or replaced; the keyspace is purged before it is used again");
        }
        if !is_same || was_outdated {
            purges.request_purge();
        }
    }

    fn was_forbidden(&self) -> Option<Reason> {
        let forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, what) = forbidden.as_ref().filter(|(at, _)| at.elapsed() < FORBIDDEN)?;
        Some(Reason::Forbidden(what.clone()))
    }
}

impl ConnectErrors {
    /// Records every attempt since the last call.
    fn drain(&mut self) {
        loop {
            match self.errors.try_recv() {
                Ok((error, _)) => self.hear(Some(error)),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Records one attempt. A refused connection may break before its reason is read, so a few attempts without a
    /// reason do not clear it.
    fn hear(&mut self, error: Option<Error>) {
        if let Some(reason) = error.and_then(|error| classify_error(error.details())).filter(Reason::forbids_use) {
            (self.reason, self.unexplained) = (Some(reason), 0);
        } else {
            self.unexplained += 1;
            self.reason = self.reason.take().filter(|_| self.unexplained < MAX_UNEXPLAINED_ATTEMPTS);
        }
    }
}
