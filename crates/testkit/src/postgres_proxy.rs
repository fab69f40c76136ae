//! A proxy for Postgres that delays or loses replies, or delays a COMMIT, so that races happen reliably.
//!
//! A load whose reply is late meets a write that began after the load and is acknowledged before it: the loaded value is
//! then outdated, and must not be stored. The replies to a relay are never late or withheld, because the relay queries
//! all the time, and a test would mistake its query for the load that it waits for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::eventually::SOON;

/// The COMMIT in a request of the client, and in the reply of Postgres.
const COMMIT: &[u8] = b"COMMIT\0";
/// What a relay sends first on each of its connections.
const RELAY: &[u8] = b"application_name = 'relay'";

/// One reply in this many is late with [`PostgresFault::LateReplies`].
const LATE_SHARE: u32 = 12;
/// The maximum delay of a late reply.
const LATE_BY: Duration = Duration::from_millis(40);

/// What the proxy does with the requests and the replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresFault {
    /// Passes all of them.
    Pass,
    /// Passes some of the replies late, at random.
    LateReplies,
    /// Passes no reply until the fault changes.
    WithholdReplies,
    /// Passes no reply to a COMMIT until the fault changes.
    WithholdCommitReplies,
    /// Closes the client's connection instead of passing the reply to a COMMIT.
    LoseCommitReplies,
    /// Closes the client's connection when it sends a COMMIT, and passes the COMMIT to Postgres as soon as the fault
    /// changes.
    DelayCommits,
}

/// A proxy between a service and its database. It has its own thread, because the threads of a test may be busy.
#[derive(Debug)]
pub struct PostgresProxy {
    url: String,
    fault: watch::Sender<PostgresFault>,
    withheld: watch::Receiver<bool>,
    runtime: Option<Runtime>,
}

impl PostgresProxy {
    /// Starts a proxy for the database at `url`: `postgres://user@host:port/name`.
    pub async fn to(url: &str) -> Result<Self> {
        let (login, rest) = url.split_once('@').with_context(|| format!("no login in {url}"))?;
        let (server, database) = rest.split_once('/').with_context(|| format!("no database in {url}"))?;
        let server: String = server.replace("localhost", "127.0.0.1");
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("postgres-proxy").enable_all().build()?;
        let listener = runtime.spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).await??;
        let address: SocketAddr = listener.local_addr()?;
        let (fault, current) = watch::channel(PostgresFault::Pass);
        let (is_withheld, withheld) = watch::channel(false);
        runtime.spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                tokio::spawn(forward_connection(client, server, current.clone(), is_withheld.clone()));
            }
        });
        Ok(Self { url: format!("{login}@{address}/{database}"), fault, withheld, runtime: Some(runtime) })
    }

    /// Sets the fault, also for replies that are withheld and for a COMMIT that is delayed.
    pub fn set(&self, fault: PostgresFault) {
        self.fault.send_replace(fault);
    }

    /// Waits until a reply is withheld: its statement has been executed then.
    ///
    /// # Panics
    /// Panics if that does not happen soon.
    pub async fn until_withheld(&self) {
        let mut withheld = self.withheld.clone();
        let withheld = timeout(SOON, withheld.wait_for(|withheld| *withheld)).await;
        withheld.expect("a reply in time").expect("the proxy lives");
    }

    /// Returns the address of the database through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PostgresProxy {
    fn drop(&mut self) {
        // In the background, because this may be a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl PostgresFault {
    fn withholds(self, reply: &[u8]) -> bool {
        match self {
            Self::WithholdReplies => true,
            Self::WithholdCommitReplies => contains(reply, COMMIT),
            Self::Pass | Self::LateReplies | Self::LoseCommitReplies | Self::DelayCommits => false,
        }
    }
}

/// Forwards one connection until either end has closed or a COMMIT or its reply is lost.
async fn forward_connection(
    mut client: TcpStream, mut server: TcpStream, fault: watch::Receiver<PostgresFault>, withheld: watch::Sender<bool>,
) {
    let delayed_commit = {
        let is_relay = AtomicBool::new(false);
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::select! {
            delayed_commit = forward_requests(from_client, to_server, &fault, &is_relay) => delayed_commit,
            () = forward_replies(from_server, to_client, fault.clone(), withheld, &is_relay) => None,
        }
    };
    let Some(commit) = delayed_commit else { return };
    drop(client);
    let mut fault = fault;
    if fault.wait_for(|fault| *fault != PostgresFault::DelayCommits).await.is_ok() {
        let _ = server.write_all(&commit).await;
        // Waits until Postgres has executed the COMMIT.
        let _ = server.read(&mut [0; 1024]).await;
    }
}

/// Returns a COMMIT that is to be delayed, or `None` when an end has closed.
async fn forward_requests(
    mut client: impl AsyncReadExt + Unpin, mut server: impl AsyncWriteExt + Unpin,
    fault: &watch::Receiver<PostgresFault>, is_relay: &AtomicBool,
) -> Option<Vec<u8>> {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut chunk).await {
        let request = &chunk[..length];
        if *fault.borrow() == PostgresFault::DelayCommits && contains(request, COMMIT) {
            return Some(request.to_vec());
        }
        is_relay.fetch_or(contains(request, RELAY), SeqCst);
        if server.write_all(request).await.is_err() {
            break;
        }
    }
    None
}

async fn forward_replies(
    mut server: impl AsyncReadExt + Unpin, mut client: impl AsyncWriteExt + Unpin,
    mut fault: watch::Receiver<PostgresFault>, withheld: watch::Sender<bool>, is_relay: &AtomicBool,
) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut chunk).await {
        let reply = &chunk[..length];
        let current = *fault.borrow();
        if current == PostgresFault::LoseCommitReplies && contains(reply, COMMIT) {
            return;
        }
        if !is_relay.load(SeqCst) {
            if current == PostgresFault::LateReplies && rand::rng().random_ratio(1, LATE_SHARE) {
                let delay = rand::rng().random_range(Duration::ZERO..LATE_BY);
                sleep(delay).await;
            }
            if fault.borrow().withholds(reply) {
                withheld.send_replace(true);
                let _ = fault.wait_for(|fault| !fault.withholds(reply)).await;
                withheld.send_replace(false);
            }
        }
        if client.write_all(reply).await.is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
