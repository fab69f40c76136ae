//! A detour on the way to Postgres, on which answers are late: so that races happen, not just may.
//!
//! A load whose answer is late meets a write that began after it and is acknowledged before it: the value that the
//! load brings is then outdated, and must not be stored.

use std::time::Duration;

use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::SOON;

/// One answer in so many is late.
const SHARE: u32 = 12;
/// And by up to so much.
const DELAY: Duration = Duration::from_millis(40);

/// A proxy that ends when it is dropped. It has a thread to itself: the test's own are busy with readers.
pub(crate) struct Detour {
    url: String,
    open: watch::Sender<bool>,
    withheld: watch::Receiver<bool>,
    _alive: oneshot::Sender<()>,
}

/// When answers arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// At once, but while they are withheld.
    AtOnce,
    /// Some of them late, at random.
    SomeLate,
}

/// What a connection needs to know.
#[derive(Clone)]
struct Rules {
    answers: Answers,
    open: watch::Receiver<bool>,
    withheld: watch::Sender<bool>,
}

impl Detour {
    /// A way to the database at `url`.
    pub(crate) async fn to(url: &str, answers: Answers) -> Self {
        let (login, place) = url.split_once('@').expect("a login in the URL");
        let (server, database) = place.split_once('/').expect("a database in the URL");
        let (started, port) = oneshot::channel();
        let (alive, dropped) = oneshot::channel::<()>();
        let (open, is_open) = watch::channel(true);
        let (is_withheld, withheld) = watch::channel(false);
        let (server, rules) = (server.to_owned(), Rules { answers, open: is_open, withheld: is_withheld });
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let _ = started.send(listener.local_addr().expect("an address").port());
                tokio::select! {
                    () = serve(&listener, &server, &rules) => {}
                    _ = dropped => {}
                }
            });
        });
        let port = port.await.expect("the proxy has started");
        Self { url: format!("{login}@127.0.0.1:{port}/{database}"), open, withheld, _alive: alive }
    }

    /// Lets no answer through from now on.
    pub(crate) fn withhold(&self) {
        self.open.send_replace(false);
    }

    /// Waits until an answer is withheld: its statement has been executed then.
    pub(crate) async fn until_withheld(&mut self) {
        let withheld = tokio::time::timeout(SOON, self.withheld.wait_for(|withheld| *withheld)).await;
        withheld.expect("an answer in time").expect("the proxy lives");
    }

    /// Lets all answers through.
    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(listener: &TcpListener, server: &str, rules: &Rules) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if let Ok(server) = TcpStream::connect(server).await {
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            connections.spawn(carry(client, server, rules.clone()));
        }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, mut rules: Rules) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let questions = copy(&mut from_client, &mut to_server);
    let answers = async {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut chunk).await {
            let is_late = rules.answers == Answers::SomeLate && rand::rng().random_ratio(1, SHARE);
            let delay = rand::rng().random_range(Duration::ZERO..DELAY);
            if is_late {
                tokio::time::sleep(delay).await;
            }
            if !*rules.open.borrow() {
                rules.withheld.send_replace(true);
                let _ = rules.open.wait_for(|open| *open).await;
                rules.withheld.send_replace(false);
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
