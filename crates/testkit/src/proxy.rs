//! A proxy for a server that can hold, delay or break connections, visibly or silently.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;

/// A proxy between clients and one server on this machine.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: watch::Sender<Link>,
    /// How many connections have asked Redis to track what they read.
    tracked: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

/// The state of the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    /// Requests are held and do not reach the server.
    holds_requests: bool,
    /// Replies are held.
    holds_replies: bool,
    /// The delay of each piece of a reply.
    delay: Duration,
    /// New connections are closed at once.
    is_cut: bool,
    /// Connections made before this number was raised are closed.
    closed_below: u64,
    /// Connections made before this number was raised are dead, though they look open.
    dead_below: u64,
    /// Replies and pushes are held on connections that ask Redis to track what they read.
    holds_tracked: bool,
    /// Such connections made before this number was raised are closed.
    tracked_closed_below: u64,
    /// New ones are closed, too.
    refuses_tracked: bool,
    /// Redis is asked not to track, instead of to track.
    turns_tracking_off: bool,
}

/// The command of a client that Redis shall tell of changes, and the same command with the opposite effect.
const TRACK: &[u8] = b"TRACKING\r\n$2\r\nON\r\n";
const DO_NOT_TRACK: &[u8] = b"TRACKING\r\n$3\r\nOFF\r\n";

impl Proxy {
    /// Starts a proxy for the server on this port, for clients on this machine.
    pub async fn to(server: u16) -> Result<Self> {
        Self::at(Ipv4Addr::LOCALHOST.into(), server).await
    }

    /// Starts a proxy that listens on this address of this machine, for clients elsewhere, such as in containers.
    pub async fn at(address: IpAddr, server: u16) -> Result<Self> {
        Self::start(address, (Ipv4Addr::LOCALHOST, server).into()).await
    }

    /// Starts a proxy in front of another one, for some of its clients.
    pub async fn before(other: &Self) -> Result<Self> {
        Self::start(other.address.ip(), other.address).await
    }

    async fn start(address: IpAddr, server: SocketAddr) -> Result<Self> {
        // A separate thread: the traffic must not wait for busy tasks of the caller's thread.
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("wire").enable_all().build()?;
        let listener = runtime.spawn(TcpListener::bind((address, 0))).await?;
        let listener = listener.with_context(|| format!("{address} is no address of this machine"))?;
        let address = listener.local_addr()?;
        let (wire, seen) = watch::channel(Link::default());
        let tracked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&tracked);
        runtime.spawn(async move {
            // If a connection cannot be accepted, only its client is affected.
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let born = *seen.borrow();
                if born.is_cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                tokio::spawn(connect(client, server, seen.clone(), born, Arc::clone(&counted)));
            }
        });
        Ok(Self { address, wire, tracked, runtime: Some(runtime) })
    }

    /// Returns the address on which the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port on which the proxy listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Holds replies from now on. The server still receives and executes requests.
    pub fn delay_replies(&self) {
        self.wire.send_modify(|wire| wire.holds_replies = true);
    }

    /// Holds requests from now on. They do not reach the server until they are released.
    pub fn hold_requests(&self) {
        self.wire.send_modify(|wire| wire.holds_requests = true);
    }

    /// Passes the held requests, and further ones.
    pub fn release_requests(&self) {
        self.wire.send_modify(|wire| wire.holds_requests = false);
    }

    /// Passes the held replies, and further ones.
    pub fn release_replies(&self) {
        self.wire.send_modify(|wire| wire.holds_replies = false);
    }

    /// Holds requests and replies from now on.
    pub fn hold(&self) {
        self.hold_requests();
        self.delay_replies();
    }

    /// Passes held requests and replies, and further ones.
    pub fn release(&self) {
        self.release_requests();
        self.release_replies();
    }

    /// Delays each piece of a reply by this time from now on.
    pub fn delay(&self, delay: Duration) {
        self.wire.send_modify(|wire| wire.delay = delay);
    }

    /// Closes all connections, and new ones as soon as they are made. Held and delayed data is lost.
    pub fn cut(&self) {
        self.wire.send_modify(|wire| {
            wire.is_cut = true;
            wire.closed_below += 1;
        });
    }

    /// Accepts new connections again.
    pub fn restore(&self) {
        self.wire.send_modify(|wire| wire.is_cut = false);
    }

    /// Makes the existing connections half-open without notice, as when a cable is cut. New ones work. Neither end of a
    /// dead connection receives anything from the other end, not even its close. Both ends stay open as long as the
    /// proxy.
    pub fn drop_packets(&self) {
        self.wire.send_modify(|wire| wire.dead_below += 1);
    }

    /// Returns how many connections so far have asked Redis to track what they read (`CLIENT TRACKING ON`).
    pub fn tracked(&self) -> u64 {
        self.tracked.load(Relaxed)
    }

    /// Holds replies and pushes on connections that ask Redis to track what they read.
    pub fn hold_tracked(&self) {
        self.wire.send_modify(|wire| wire.holds_tracked = true);
    }

    /// Passes what is held on these connections, and further replies and pushes.
    pub fn release_tracked(&self) {
        self.wire.send_modify(|wire| wire.holds_tracked = false);
    }

    /// Closes these connections. New ones work.
    pub fn close_tracked(&self) {
        self.wire.send_modify(|wire| wire.tracked_closed_below += 1);
    }

    /// Closes these connections, and new ones as soon as they ask Redis to track.
    pub fn refuse_tracked(&self) {
        self.wire.send_modify(|wire| wire.refuses_tracked = true);
        self.close_tracked();
    }

    /// Accepts such connections again.
    pub fn accept_tracked(&self) {
        self.wire.send_modify(|wire| wire.refuses_tracked = false);
    }

    /// Asks Redis not to track what new connections read. They do not notice it.
    pub fn turn_tracking_off(&self) {
        self.wire.send_modify(|wire| wire.turns_tracking_off = true);
    }

    /// Leaves the requests of new connections as they are.
    pub fn leave_tracking_on(&self) {
        self.wire.send_modify(|wire| wire.turns_tracking_off = false);
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

/// Forwards one connection until both ends have closed, or the proxy is cut or dropped.
async fn connect(
    mut client: TcpStream, mut server: TcpStream, mut wire: watch::Receiver<Link>, born: Link, tracked: Arc<AtomicU64>,
) {
    let is_tracked = AtomicBool::new(false);
    let (requests, replies) = (wire.clone(), wire.clone());
    let is_broken = |wire: &Link| {
        let tracked_is_closed = wire.tracked_closed_below > born.tracked_closed_below && is_tracked.load(Relaxed);
        wire.closed_below > born.closed_below || wire.dead_below > born.dead_below || tracked_is_closed
    };
    let is_dead = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let passing = async {
            tokio::join!(
                pass(from_client, to_server, requests, Direction::Requests, &is_tracked, &tracked),
                pass(from_server, to_client, replies, Direction::Replies, &is_tracked, &tracked)
            )
        };
        // The state of the proxy is checked first: after a cut, nothing passes, not even data that is being delayed or
        // held.
        tokio::select! {
            biased;
            broken = wire.wait_for(is_broken) => broken.is_ok_and(|wire| wire.dead_below > born.dead_below),
            _ = passing => false,
        }
    };
    // Both ends stay open; they are closed when the proxy is dropped, which ends this loop.
    while is_dead && wire.changed().await.is_ok() {}
}

/// Forwards one direction until its sender has closed, and passes the close on to the other end.
async fn pass(
    mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut wire: watch::Receiver<Link>, direction: Direction,
    is_tracked: &AtomicBool, tracked: &AtomicU64,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut count = from.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            break;
        }
        // A client sends this command in one piece.
        if let Some(at) = buffer[..count].windows(TRACK.len()).position(|part| part == TRACK)
            && direction == Direction::Requests
        {
            is_tracked.store(true, Relaxed);
            tracked.fetch_add(1, Relaxed);
            if wire.borrow().refuses_tracked {
                break;
            }
            if wire.borrow().turns_tracking_off {
                buffer.splice(at..at + TRACK.len(), DO_NOT_TRACK.iter().copied());
                count += DO_NOT_TRACK.len() - TRACK.len();
            }
        }
        let delay = wire.borrow().delay;
        if direction == Direction::Replies && !delay.is_zero() {
            sleep(delay).await;
        }
        let held = |wire: &Link| match direction {
            Direction::Requests => wire.holds_requests,
            Direction::Replies => wire.holds_replies || wire.holds_tracked && is_tracked.load(Relaxed),
        };
        if wire.wait_for(|wire| !held(wire)).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
