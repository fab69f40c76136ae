//! Does it answer? Asked past the services, over the wires, so that a fault is known to be one.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::target::{Component, Target};
use crate::system::System;

/// Who has not answered by then will not, for now.
const SILENCE: Duration = Duration::from_millis(500);

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// There was an answer, after so long.
    Answers(Duration),
    /// The connection was refused or closed.
    Closed,
    /// Nothing.
    Silent,
}

/// The wire to a store.
pub(super) fn wire(site: &Target, part: Component) -> Result<&Proxy> {
    let proxies = site.proxies()?;
    Ok(if part == Component::Postgres { &proxies.postgres } else { &proxies.redis })
}

/// Asks a store over its wire, a service directly.
pub(super) async fn reach(site: &Target, part: Component) -> Result<Reach> {
    let address = match part {
        Component::Service(service) => site.url(service).await?.trim_start_matches("http://").to_owned(),
        store => wire(site, store)?.address().to_string(),
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

/// The connections there are go dead, and last so; new ones work.
pub(super) async fn half_open(site: &Target, part: Component, hold: Duration) -> Result<()> {
    let wire = wire(site, part)?;
    let mut before = TcpStream::connect(wire.address()).await?;
    ask(&mut before, part).await.context("over a connection that is not dead yet")?;
    wire.drop_packets();
    let asked = timeout(SILENCE, ask(&mut before, part)).await;
    ensure!(asked.is_err(), "a dead connection is not silent: {asked:?}");
    let reached = reach(site, part).await?;
    ensure!(matches!(reached, Reach::Answers(_)), "a new connection does not work: {reached:?}");
    sleep(hold.saturating_sub(2 * SILENCE)).await;
    Ok(())
}

/// A question to which there is an answer without a password.
async fn ask(stream: &mut TcpStream, part: Component) -> std::io::Result<()> {
    let question: &[u8] = match part {
        // To be encrypted from here on; the answer is yes or no. See "SSLRequest" in Postgres' message formats.
        Component::Postgres => &[0, 0, 0, 8, 4, 210, 22, 47],
        Component::Redis => b"PING\r\n",
        Component::Service(_) => b"GET /livez HTTP/1.1\r\nHost: lab\r\n\r\n",
    };
    stream.write_all(question).await?;
    // The whole of it, which is short: what is left would be the answer to the next question.
    match stream.read(&mut [0; 1_024]).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
