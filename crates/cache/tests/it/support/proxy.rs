//! A wire to Redis that a test can hold up or break without anybody noticing.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes bytes between clients and a Redis.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    replies_pass: watch::Sender<bool>,
    _requests_pass: watch::Sender<bool>,
    /// Connections made before this number was raised are dead, though they look alive.
    dead_below: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(redis: &testkit::Redis) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (port, target) = (listener.local_addr().unwrap().port(), redis.port());
        let (replies_pass, passing) = watch::channel(true);
        let (_requests_pass, always) = watch::channel(true);
        let (dead_below, dead) = watch::channel(0);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let born = *dead.borrow();
                tokio::spawn(pass(from_client, to_server, always.clone(), dead.clone(), born));
                tokio::spawn(pass(from_server, to_client, passing.clone(), dead.clone(), born));
            }
        });
        Self { port, replies_pass, _requests_pass, dead_below, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Redis gets and runs what is sent from now on, but its replies wait.
    pub(crate) fn hold_replies(&self) {
        self.replies_pass.send_replace(false);
    }

    pub(crate) fn release_replies(&self) {
        self.replies_pass.send_replace(true);
    }

    /// The connections there are go dead without a word, as when a cable is cut. New ones work.
    pub(crate) fn cut_the_cable(&self) {
        self.dead_below.send_modify(|born| *born += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
    dead: watch::Receiver<u64>,
    born: u64,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        if *dead.borrow() > born {
            // Keeps both ends open and swallows everything.
            continue;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
