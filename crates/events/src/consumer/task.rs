//! The one task: a session after the other, until it is told to stop.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::warn;

use super::React;
use super::backoff::Backoff;
use super::effects::Effects;
use super::group::Group;
use super::pubsub::Listener;
use super::reader::Reader;
use super::session::Trouble;

/// A session that ends after so long was a good one: the next is tried soon.
const LASTED: Duration = Duration::from_secs(5);

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
        let mut told = false;
        while !self.effects().stop.is_cancelled() {
            let began = Instant::now();
            let session = async {
                match &mut self {
                    Self::Group(group) => group.session().await,
                    Self::Reader(reader) => reader.session().await,
                    Self::Listener(listener) => listener.session().await,
                }
            };
            // A panic is a fault of this program, but no reason to hear nothing from here on.
            let trouble = match AssertUnwindSafe(session).catch_unwind().await {
                Ok(Ok(()) | Err(Trouble::Stopped)) => break,
                Ok(Err(Trouble::Redis(error))) => error.to_string(),
                Err(_) => "a panic, reported above".to_owned(),
            };
            self.effects().signs.connected(false);
            if began.elapsed() >= LASTED {
                (backoff, told) = (Backoff::new(), false);
            }
            if !std::mem::replace(&mut told, true) {
                warn!(reason = %trouble, "a consumer begins again");
            }
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
