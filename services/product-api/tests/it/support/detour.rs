//! A proxy to Postgres that delays replies, so that races happen reliably.
//!
//! A load whose reply is late meets a write that began after the load and is acknowledged before it. The loaded value
//! is then outdated, and must not be stored. The relay's replies are never delayed: the relay queries all the time, and
//! a test would mistake its query for the load that it waits for.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::SOON;

/// One reply in this many is late.
const SHARE: u32 = 12;
/// The maximum delay of a late reply.
const DELAY: Duration = Duration::from_millis(40);

/// What a relay sends first on each of its connections.
const RELAY: &[u8] = b"application_name = 'relay'";

/// A proxy that ends when it is dropped. It has its own thread, because the test's threads are busy with readers.
pub(crate) struct Detour {
    url: String,
    answers: watch::Sender<Answers>,
    withheld: watch::Receiver<bool>,
    _alive: oneshot::Sender<()>,
}

/// When the proxy forwards replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// At once.
    AtOnce,
    /// Some of them late, at random.
    SomeLate,
    /// Not until this value changes.
    Withheld,
    /// At once, except for the reply to a COMMIT.
    CommitsWithheld,
}

impl Detour {
    /// Starts a proxy to the database at `url`.
    pub(crate) async fn to(url: &str, answers: Answers) -> Self {
        let (login, place) = url.split_once('@').expect("a login in the URL");
        let (server, database) = place.split_once('/').expect("a database in the URL");
        let (started, port) = oneshot::channel();
        let (alive, dropped) = oneshot::channel::<()>();
        let (answers, rule) = watch::channel(answers);
        let (is_withheld, withheld) = watch::channel(false);
        let server = server.to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let _ = started.send(listener.local_addr().expect("an address").port());
                tokio::select! {
                    () = serve(&listener, &server, &rule, &is_withheld) => {}
                    _ = dropped => {}
                }
            });
        });
        let port = port.await.expect("the proxy has started");
        Self { url: format!("{login}@127.0.0.1:{port}/{database}"), answers, withheld, _alive: alive }
    }

    /// Sets when replies are forwarded, including those that are withheld.
    pub(crate) fn set(&self, answers: Answers) {
        self.answers.send_replace(answers);
    }

    /// Waits until a reply is withheld: its statement has been executed then.
    pub(crate) async fn until_withheld(&mut self) {
        let withheld = tokio::time::timeout(SOON, self.withheld.wait_for(|withheld| *withheld)).await;
        withheld.expect("an answer in time").expect("the proxy lives");
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Answers {
    fn withholds(self, answer: &[u8]) -> bool {
        match self {
            Self::AtOnce | Self::SomeLate => false,
            Self::Withheld => true,
            // Postgres names the command that it has completed.
            Self::CommitsWithheld => answer.windows(7).any(|bytes| bytes == b"COMMIT\0"),
        }
    }
}

async fn serve(
    listener: &TcpListener,
    server: &str,
    answers: &watch::Receiver<Answers>,
    withheld: &watch::Sender<bool>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if let Ok(server) = TcpStream::connect(server).await {
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            connections.spawn(carry(client, server, answers.clone(), withheld.clone()));
        }
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mut rule: watch::Receiver<Answers>,
    withheld: watch::Sender<bool>,
) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let is_relay = AtomicBool::new(false);
    let questions = async {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut chunk).await {
            let question = &chunk[..length];
            is_relay.fetch_or(question.windows(RELAY.len()).any(|bytes| bytes == RELAY), SeqCst);
            if to_server.write_all(question).await.is_err() {
                return;
            }
        }
    };
    let answers = async {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut chunk).await {
            let answer = &chunk[..length];
            let is_passed_on = is_relay.load(SeqCst);
            let is_late = *rule.borrow() == Answers::SomeLate && rand::rng().random_ratio(1, SHARE);
            if is_late && !is_passed_on {
                let delay = rand::rng().random_range(Duration::ZERO..DELAY);
                tokio::time::sleep(delay).await;
            }
            if rule.borrow().withholds(answer) && !is_passed_on {
                withheld.send_replace(true);
                let _ = rule.wait_for(|rule| !rule.withholds(answer)).await;
                withheld.send_replace(false);
            }
            if to_client.write_all(answer).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = questions => {}
        () = answers => {}
    }
}
