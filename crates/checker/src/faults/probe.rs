//! Probes whether a component responds, directly or through its proxy, to prove that a fault takes effect.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::target::{Component, Target};
use crate::system::System;

/// A component that has not replied after this time counts as silent.
const SILENCE: Duration = Duration::from_millis(500);

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// There was a reply, after this time.
    Answers(Duration),
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
pub(super) async fn reach(target: &Target, part: Component) -> Result<Reach> {
    let address = match part {
        Component::Service(service) => target.url(service).await?.trim_start_matches("http://").to_owned(),
        store => proxy_of(target, store)?.address().to_string(),
    };
    let asked = async {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await?;
        ask(&mut stream, part).await.map(|()| began.elapsed())
    };
    Ok(match timeout(SILENCE, asked).await {
        Ok(Ok(took)) => Reach::Answers(took),
        Ok(Err(_)) => Reach::Closed,
        Err(_) => Reach::Silent,
    })
}

/// Makes the existing connections dead for the rest of `hold`, and checks that new connections work.
pub(super) async fn half_open(target: &Target, part: Component, hold: Duration) -> Result<()> {
    let proxy = proxy_of(target, part)?;
    let mut before = TcpStream::connect(proxy.address()).await?;
    ask(&mut before, part).await.context("over a connection that is not dead yet")?;
    proxy.drop_packets();
    let asked = timeout(SILENCE, ask(&mut before, part)).await;
    ensure!(asked.is_err(), "a dead connection is not silent: {asked:?}");
    let reached = reach(target, part).await?;
    ensure!(matches!(reached, Reach::Answers(_)), "a new connection does not work: {reached:?}");
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
