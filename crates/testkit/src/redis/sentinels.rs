//! A primary, a replica that follows it, and three sentinels that watch them.

use std::time::Duration;

use anyhow::{Context, Result};
use supervise::tools;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::{Redis, Transport, tls_settings};
use crate::ports::free_port;
use crate::server::{ATTEMPTS, PrivateServer, output};
use crate::supervisor::Supervisor;

/// The name that the sentinels have for the primary.
const SERVICE: &str = "shop";
/// The longest time until the servers have found or lost one another.
const CONTACT: Duration = Duration::from_secs(30);

/// The longest time of a failover. A sentinel gives it up after `failover-timeout`, which is shorter.
const FAILOVER: Duration = Duration::from_secs(30);
/// The maximum number of failovers that are begun until one is complete.
const FAILOVERS: usize = 4;
/// The pause between two questions to a sentinel.
const PAUSE: Duration = Duration::from_millis(50);

/// A service of Redis that is watched by sentinels.
#[derive(Debug)]
pub struct Sentinels {
    /// The server that is the primary at first.
    pub first: Redis,
    /// The server that follows it.
    pub second: Redis,
    sentinels: Vec<Sentinel>,
    transport: Transport,
}

/// A sentinel, and the port for clients, which differs from that of the server if they use TLS.
#[derive(Debug)]
pub(super) struct Sentinel {
    server: PrivateServer,
    port: u16,
}

impl Sentinels {
    /// Starts the servers, and waits until every sentinel knows all of them.
    pub async fn start() -> Result<Self> {
        Self::start_over(Transport::Tcp).await
    }

    /// Starts servers and sentinels that are reached over TLS, with a client certificate.
    pub async fn start_over_tls() -> Result<Self> {
        Self::start_over(Transport::Tls).await
    }

    async fn start_over(transport: Transport) -> Result<Self> {
        let over_tls = if transport == Transport::Tls { "yes" } else { "no" };
        let settings =
            [("repl-diskless-sync-delay", "0"), ("repl-ping-replica-period", "1"), ("tls-replication", over_tls)];
        let start = async || Redis::launch(Redis::supervisor()?, transport, &settings).await;
        let (first, second) = (start().await?, start().await?);
        second.cli(&["REPLICAOF", "127.0.0.1", &first.port().to_string()]).await?;
        let mut group = Self { first, second, sentinels: Vec::new(), transport };
        for _ in 0..3 {
            group.sentinels.push(Sentinel::watch(group.first.port(), transport, 2).await?);
        }
        group.until_complete().await?;
        Ok(group)
    }

    /// Returns the URL for clients. It names all sentinels.
    pub fn url(&self) -> String {
        let others = self.sentinels[1..].iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        let nodes = format!("service={SERVICE}&nodes={}", others.collect::<Vec<_>>().join(","));
        let url = self.transport.url(self.sentinels[0].port);
        let url = url.replacen("://", "-sentinel://", 1);
        format!("{url}{}{nodes}", if url.contains('?') { '&' } else { '?' })
    }

    /// Cuts the connection between the servers: from now on, the second one misses what the first one acknowledges.
    ///
    /// The second server logs in with a password that the first one does not know. A proxy between them would not do:
    /// after some seconds, a sentinel tells a replica to follow the address that the sentinel knows.
    pub async fn cut_replication(&self) -> Result<()> {
        self.second.cli(&["CONFIG", "SET", "masterauth", "unknown"]).await?;
        self.first.cli(&["CLIENT", "KILL", "TYPE", "replica"]).await?;
        let is_cut = async || {
            self.second.cli(&["INFO", "replication"]).await.is_ok_and(|info| info.contains("master_link_status:down"))
        };
        self.second.until_ready("the end of the replication", CONTACT, is_cut).await
    }

    /// Makes the second server the primary, as a person would before maintenance.
    pub async fn fail_over(&self) -> Result<()> {
        self.ask(0, &["SENTINEL", "FAILOVER", SERVICE]).await.map(drop)
    }

    /// Waits until the second server is the primary, after [`fail_over`](Self::fail_over). A sentinel gives a failover up if
    /// one of its steps is late, as on a busy machine, and does not begin another one by itself. Then this method begins
    /// another one; not earlier, because after a complete failover that would make the first server the primary again.
    pub async fn until_failed_over(&self) -> Result<()> {
        let complete = async || {
            while self.primary().await.ok() != Some(self.second.port()) {
                sleep(PAUSE).await;
            }
        };
        for _ in 1..FAILOVERS {
            if timeout(FAILOVER, complete()).await.is_ok() {
                return Ok(());
            }
            // Refused while a failover is under way.
            let _ = self.fail_over().await;
        }
        timeout(FAILOVER, complete()).await.context("no failover was complete in time")
    }

    /// Returns the port of the primary, as a sentinel knows it.
    pub async fn primary(&self) -> Result<u16> {
        let address = self.ask(0, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await?;
        Ok(address.lines().last().unwrap_or_default().parse()?)
    }

    async fn ask(&self, sentinel: usize, command: &[&str]) -> Result<String> {
        cli(self.sentinels[sentinel].server.port(), command).await
    }

    async fn until_complete(&self) -> Result<()> {
        for sentinel in 0..self.sentinels.len() {
            let complete = async || {
                let found = self.ask(sentinel, &["SENTINEL", "MASTER", SERVICE]).await.unwrap_or_default();
                let words: Vec<&str> = found.lines().collect();
                let is = |name, value| words.windows(2).any(|pair| pair == [name, value]);
                is("num-slaves", "1") && is("num-other-sentinels", "2") && is("flags", "master")
            };
            self.first.until_ready("the group of sentinels", CONTACT, complete).await?;
        }
        Ok(())
    }
}

impl Sentinel {
    /// Starts a sentinel that watches a server. `quorum` sentinels must agree that it is down.
    pub(super) async fn watch(primary: u16, transport: Transport, quorum: u8) -> Result<Self> {
        let mut server = PrivateServer { supervisor: Supervisor::new("sentinel", None, |_| ())?, port: 0 };
        let mut attempt = 1;
        loop {
            server.port = free_port();
            let tls_port = free_port();
            let configuration = server.supervisor.directory().join("sentinel.conf");
            // A replica that was disconnected for ten times this time is never promoted.
            let mut text = format!(
                "bind 127.0.0.1\nport {}\nsentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}\n\
                 sentinel down-after-milliseconds {SERVICE} 5000\nsentinel failover-timeout {SERVICE} 10000\n",
                server.port,
            );
            let mut port = server.port;
            if transport == Transport::Tls {
                port = tls_port;
                text.push_str("tls-replication yes\n");
                for (name, value) in tls_settings(tls_port) {
                    text.push_str(&format!("{name} {value}\n"));
                }
            }
            std::fs::write(&configuration, text)?;
            server.supervisor.spawn(vec![
                super::program()?,
                configuration.to_string_lossy().into_owned(),
                "--sentinel".to_owned(),
            ])?;
            let answers = async || cli(server.port, &["PING"]).await.is_ok_and(|answer| answer == "PONG");
            match server.until_ready("a sentinel", CONTACT, answers).await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                started => return started.map(|()| Self { server, port }),
            }
        }
    }

    /// Returns the URL of the server that it watches, without TLS.
    pub(super) fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}?service={SERVICE}", self.port)
    }
}

async fn cli(port: u16, command: &[&str]) -> Result<String> {
    let mut client = Command::new(tools::redis_client()?);
    output(client.args(["-e", "-p", &port.to_string()]).args(command)).await
}
