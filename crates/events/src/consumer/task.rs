//! The one task: a session after the other, until it is told to stop.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::effects::Effects;
use super::group::Group;
use super::pubsub::Listener;
use super::reader::Reader;
use super::session::Trouble;
use super::{ConsumerStatus, React};
use crate::Outage;

/// A session that ends after so long was a good one: the next is tried soon.
const LASTED: Duration = Duration::from_secs(5);

/// Says that an outage is over as soon as the session has read for a while. Never returns.
async fn lasts(status: &mut watch::Receiver<ConsumerStatus>, outage: &Outage) -> Infallible {
    // The sender is the task's own: it outlives the session.
    let _ = status.wait_for(|status| status.connected).await;
    sleep(LASTED).await;
    outage.over();
    std::future::pending().await
}

/// Who reads.
pub(super) enum Task<R> {
    /// One of a group.
    Group(Group<R>),
    /// All of it.
    Reader(Reader<R>),
    /// What is heard.
    Listener(Listener<R>),
}

impl<R: React> Task<R> {
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new();
        let outage = Outage::new(
            self.effects().stream,
            "a consumer cannot read its stream",
            "a consumer reads its stream again",
        );
        while !self.effects().stop.is_cancelled() {
            let began = Instant::now();
            let mut status = self.effects().signs.status.subscribe();
            let session = async {
                match &mut self {
                    Self::Group(group) => group.session().await,
                    Self::Reader(reader) => reader.session().await,
                    Self::Listener(listener) => listener.session().await,
                }
            };
            // A panic is a fault of this program, but no reason to hear nothing from here on.
            let session = AssertUnwindSafe(session).catch_unwind();
            let ended = tokio::select! {
                ended = session => ended,
                never = lasts(&mut status, &outage) => match never {},
            };
            let trouble = match ended {
                Ok(Ok(()) | Err(Trouble::Stopped)) => break,
                Ok(Err(Trouble::Redis(error))) => error.to_string(),
                Err(_) => "a panic, reported above".to_owned(),
            };
            self.effects().signs.connected(false);
            if began.elapsed() >= LASTED {
                backoff = Backoff::new();
            }
            outage.failed(trouble);
            if self.effects().rest(&mut backoff).await.is_err() {
                break;
            }
        }
        self.effects().signs.connected(false);
    }

    fn effects(&self) -> &Effects<R> {
        match self {
            Self::Group(group) => &group.effects,
            Self::Reader(reader) => &reader.effects,
            Self::Listener(listener) => &listener.effects,
        }
    }
}
