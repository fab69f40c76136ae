//! A wire to a server that can be held up, slowed down or broken, with or without anybody noticing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;

/// Passes bytes between clients and one server on this machine.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: watch::Sender<Link>,
    runtime: Option<Runtime>,
}

/// What the wire does to what is sent over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    /// Requests wait, and do not reach the server.
    holds_requests: bool,
    /// Replies wait.
    holds_replies: bool,
    /// Each piece of a reply comes so much later.
    delay: Duration,
    /// New connections are closed at once.
    is_cut: bool,
    /// Connections made before this number was raised are closed.
    closed_below: u64,
    /// Connections made before this number was raised are dead, though they look alive.
    dead_below: u64,
}

impl Proxy {
    /// A wire to the server on this port, for clients on this machine.
    pub async fn to(server: u16) -> Result<Self> {
        Self::at(Ipv4Addr::LOCALHOST.into(), server).await
    }

    /// A wire that begins at this address of this machine, for clients elsewhere, such as in containers.
    pub async fn at(address: IpAddr, server: u16) -> Result<Self> {
        // A thread of its own: what passes over it must not wait for whoever is busy in this one.
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("wire").enable_all().build()?;
        let listener = runtime.spawn(TcpListener::bind((address, 0))).await?;
        let listener = listener.with_context(|| format!("{address} is no address of this machine"))?;
        let address = listener.local_addr()?;
        let (wire, seen) = watch::channel(Link::default());
        runtime.spawn(async move {
            // A connection that cannot be taken is the client's trouble.
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let born = *seen.borrow();
                if born.is_cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                tokio::spawn(connect(client, server, seen.clone(), born));
            }
        });
        Ok(Self { address, wire, runtime: Some(runtime) })
    }

    /// Where the wire begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The server gets and runs what is sent from now on, but its replies wait.
    pub fn delay_replies(&self) {
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

    /// All connections are closed, and new ones as soon as they are made. What waits on the wire is lost.
    pub fn cut(&self) {
        self.wire.send_modify(|wire| {
            wire.is_cut = true;
            wire.closed_below += 1;
        });
    }

    /// New connections work again.
    pub fn restore(&self) {
        self.wire.send_modify(|wire| wire.is_cut = false);
    }

    /// The connections there are go dead without a word, as when a cable is cut: half-open. New ones work. Neither end of a
    /// dead one hears of the other again, not even that it has closed; both stay open as long as the wire.
    pub fn drop_packets(&self) {
        self.wire.send_modify(|wire| wire.dead_below += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // In the background, because this may be a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Replies,
}

/// One connection, from when it is made until both have closed, or the wire is cut or gone.
async fn connect(mut client: TcpStream, mut server: TcpStream, mut wire: watch::Receiver<Link>, born: Link) {
    let (requests, replies) = (wire.clone(), wire.clone());
    let is_broken = |wire: &Link| wire.closed_below > born.closed_below || wire.dead_below > born.dead_below;
    let is_dead = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let passing = async {
            tokio::join!(
                pass(from_client, to_server, requests, Direction::Requests),
                pass(from_server, to_client, replies, Direction::Replies)
            )
        };
        // The wire first: nothing gets over it once it is broken, also what is being delayed or held.
        tokio::select! {
            biased;
            broken = wire.wait_for(is_broken) => broken.is_ok_and(|wire| wire.dead_below > born.dead_below),
            _ = passing => false,
        }
    };
    // Both ends stay open; they are closed when the wire goes, which ends this loop.
    while is_dead && wire.changed().await.is_ok() {}
}

/// One direction, until its sender has closed; the other end is told.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut wire: watch::Receiver<Link>, direction: Direction) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            break;
        }
        let delay = wire.borrow().delay;
        if direction == Direction::Replies && !delay.is_zero() {
            sleep(delay).await;
        }
        let held = |wire: &Link| match direction {
            Direction::Requests => wire.holds_requests,
            Direction::Replies => wire.holds_replies,
        };
        if wire.wait_for(|wire| !held(wire)).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
