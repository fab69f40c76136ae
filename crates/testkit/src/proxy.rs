//! A wire to a server that can be held up, slowed down or broken, with or without anybody noticing.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Passes bytes between clients and one server on this machine.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
    task: JoinHandle<()>,
}

/// What the wire does to what is sent over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wire {
    /// Requests wait, and do not reach the server.
    holds_requests: bool,
    /// Replies wait.
    holds_replies: bool,
    /// Each piece of a reply comes so much later.
    delay: Duration,
    /// Nothing gets through, and new connections are closed at once.
    is_cut: bool,
    /// Connections made before this number was raised are dead, though they look alive.
    dead_below: u64,
}

impl Proxy {
    /// A wire to the server on this port.
    pub async fn to(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (wire, seen) = watch::channel(Wire::default());
        let task = tokio::spawn(async move {
            // A connection that cannot be taken is the client's trouble.
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let state = *seen.borrow();
                if state.is_cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, seen.clone(), state.dead_below, Direction::Requests));
                tokio::spawn(pass(from_server, to_client, seen.clone(), state.dead_below, Direction::Replies));
            }
        });
        Ok(Self { port, wire, task })
    }

    /// Where the wire begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server gets and runs what is sent from now on, but its replies wait.
    pub fn hold_replies(&self) {
        self.wire.send_modify(|wire| wire.holds_replies = true);
    }

    /// What is sent from now on does not reach the server before it is released, if it is.
    pub fn hold_requests(&self) {
        self.wire.send_modify(|wire| wire.holds_requests = true);
    }

    /// They wait no longer.
    pub fn release_requests(&self) {
        self.wire.send_modify(|wire| wire.holds_requests = false);
    }

    /// They wait no longer.
    pub fn release_replies(&self) {
        self.wire.send_modify(|wire| wire.holds_replies = false);
    }

    /// Each piece of a reply comes so much later from now on.
    pub fn delay(&self, delay: Duration) {
        self.wire.send_modify(|wire| wire.delay = delay);
    }

    /// All connections are closed, and new ones as soon as they are made.
    pub fn cut(&self) {
        self.wire.send_modify(|wire| wire.is_cut = true);
    }

    /// New connections work again.
    pub fn mend(&self) {
        self.wire.send_modify(|wire| wire.is_cut = false);
    }

    /// The connections there are go dead without a word, as when a cable is cut: half-open. New ones work.
    pub fn cut_the_cable(&self) {
        self.wire.send_modify(|wire| wire.dead_below += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Replies,
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
    born: u64,
    direction: Direction,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let cut = async { wire.clone().wait_for(|wire| wire.is_cut).await.is_ok() };
        let count = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = cut => 0,
        };
        if count == 0 {
            return;
        }
        let delay = wire.borrow().delay;
        if direction == Direction::Replies && !delay.is_zero() {
            sleep(delay).await;
        }
        let held = |wire: &Wire| match direction {
            Direction::Requests => wire.holds_requests,
            Direction::Replies => wire.holds_replies,
        };
        if wire.wait_for(|wire| !held(wire)).await.is_err() {
            return;
        }
        if wire.borrow().dead_below > born {
            // Keeps both ends open and swallows everything.
            continue;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
