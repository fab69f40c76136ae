//! A proxy for Postgres that loses a COMMIT's reply, or delays the COMMIT itself.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// The COMMIT in a request of the client, and in the reply of Postgres.
const COMMIT: &[u8] = b"COMMIT\0";

/// What the proxy does with a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// Passes the COMMIT and its reply.
    Pass,
    /// Passes the COMMIT, and closes the client's connection instead of passing the reply.
    LoseReply,
    /// Closes the client's connection, and passes the COMMIT to Postgres as soon as the rule is [`Pass`](Self::Pass)
    /// again.
    Delay,
}

/// A proxy between a service and its database.
#[derive(Debug)]
pub struct CommitFaultProxy {
    url: String,
    rule: watch::Sender<CommitFault>,
    runtime: Option<Runtime>,
}

impl CommitFaultProxy {
    /// Starts a proxy for the database at `url`: `postgres://user@host:port/name`.
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

    /// Sets the rule for further COMMITs, and for one that is delayed.
    pub fn set(&self, commits: CommitFault) {
        self.rule.send_replace(commits);
    }

    /// Returns the address of the database through the proxy.
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

/// Forwards one connection until either end has closed or a COMMIT is lost.
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
                        // Waits until Postgres has executed the COMMIT.
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
