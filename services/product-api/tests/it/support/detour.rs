//! A detour on the way to Postgres, on which some answers are late: so that races happen, not just may.
//!
//! A load whose answer is late meets a write that began after it and is acknowledged before it: the value that the
//! load brings is then outdated, and must not be stored.

use std::time::Duration;

use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// One answer in so many is late.
const SHARE: u32 = 12;
/// And by up to so much.
const DELAY: Duration = Duration::from_millis(40);

/// A proxy that ends when it is dropped. It has a thread to itself: the test's own are busy with readers.
pub(crate) struct Detour {
    url: String,
    _alive: oneshot::Sender<()>,
}

impl Detour {
    /// A way to the database at `url`.
    pub(crate) async fn to(url: &str) -> Self {
        let (login, place) = url.split_once('@').expect("a login in the URL");
        let (server, database) = place.split_once('/').expect("a database in the URL");
        let (started, port) = oneshot::channel();
        let (alive, dropped) = oneshot::channel::<()>();
        let server = server.to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let _ = started.send(listener.local_addr().expect("an address").port());
                tokio::select! {
                    () = serve(&listener, &server) => {}
                    _ = dropped => {}
                }
            });
        });
        let port = port.await.expect("the proxy has started");
        Self { url: format!("{login}@127.0.0.1:{port}/{database}"), _alive: alive }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(listener: &TcpListener, server: &str) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if let Ok(server) = TcpStream::connect(server).await {
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            connections.spawn(carry(client, server));
        }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let questions = copy(&mut from_client, &mut to_server);
    let answers = async {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut chunk).await {
            let is_late = rand::rng().random_ratio(1, SHARE);
            let delay = rand::rng().random_range(Duration::ZERO..DELAY);
            if is_late {
                tokio::time::sleep(delay).await;
            }
            if to_client.write_all(&chunk[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = questions => {}
        () = answers => {}
    }
}
