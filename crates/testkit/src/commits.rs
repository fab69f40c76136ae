//! A wire to Postgres on which a COMMIT is lost: its reply, or for a while the COMMIT itself.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// As the client sends it, and as Postgres confirms it.
const COMMIT: &[u8] = b"COMMIT\0";

/// What happens to a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// It passes, and so does its reply.
    Pass,
    /// It is executed, and the client's connection is closed instead of being told so.
    LoseReply,
    /// The client's connection is closed, and the COMMIT reaches Postgres when they pass again.
    Delay,
}

/// Passes bytes between a service and its database.
#[derive(Debug)]
pub struct CommitFaultProxy {
    url: String,
    rule: watch::Sender<CommitFault>,
    runtime: Option<Runtime>,
}

impl CommitFaultProxy {
    /// A wire to the database at `url`: `postgres://user@host:port/name`.
    pub async fn to(url: &str) -> Result<Self> {
        let (login, rest) = url.split_once('@').ok_or_else(|| anyhow::anyhow!("no login in {url}"))?;
        let (server, database) = rest.split_once('/').ok_or_else(|| anyhow::anyhow!("no database in {url}"))?;
        let server: String = server.replace("localhost", "127.0.0.1");
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("commits").enable_all().build()?;
        let listener = runtime.spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).await??;
        let address: SocketAddr = listener.local_addr()?;
        let (rule, seen) = watch::channel(CommitFault::Pass);
        runtime.spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                tokio::spawn(forward_connection(client, server, seen.clone()));
            }
        });
        Ok(Self { url: format!("{login}@{address}/{database}"), rule, runtime: Some(runtime) })
    }

    /// What happens to a COMMIT from now on, and to one that is delayed.
    pub fn set(&self, commits: CommitFault) {
        self.rule.send_replace(commits);
    }

    /// The database, at the other end of the wire.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for CommitFaultProxy {
    fn drop(&mut self) {
        // In the background, because this may be a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One connection, until either end has closed or a COMMIT is lost.
async fn forward_connection(mut client: TcpStream, mut server: TcpStream, mut rule: watch::Receiver<CommitFault>) {
    let (mut request, mut reply) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let bytes = &request[..read.unwrap_or(0)];
                if holds_commit(bytes) && *rule.borrow() == CommitFault::Delay {
                    drop(client);
                    if rule.wait_for(|rule| *rule != CommitFault::Delay).await.is_ok() {
                        let _ = server.write_all(bytes).await;
                        // Until Postgres has carried it out.
                        let _ = server.read(&mut reply).await;
                    }
                    return;
                }
                if bytes.is_empty() || server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut reply) => {
                let bytes = &reply[..read.unwrap_or(0)];
                let is_lost = holds_commit(bytes) && *rule.borrow() == CommitFault::LoseReply;
                if bytes.is_empty() || is_lost || client.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn holds_commit(bytes: &[u8]) -> bool {
    bytes.windows(COMMIT.len()).any(|window| window == COMMIT)
}
