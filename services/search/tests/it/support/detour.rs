//! A proxy for the product API that can be closed: connections stay open, but no byte passes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A proxy that forwards bytes, or holds them back while it is closed.
pub(crate) struct Detour {
    pub(crate) url: String,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Detour {
    /// Starts an open proxy for `target` (`http://host:port`).
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let target = target.trim_start_matches("http://").to_owned();
        let (open, is_open) = watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(connect(near, target.clone(), is_open.clone()));
            }
        });
        Self { url, open, task }
    }

    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(near: TcpStream, target: String, is_open: watch::Receiver<bool>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::join!(pass(near_read, far_write, is_open.clone()), pass(far_read, near_write, is_open));
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut is_open: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if is_open.wait_for(|open| *open).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
