//! The consumer's task: runs one session after the other, until it is stopped.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::group::Group;
use super::handler::EventHandler;
use super::monitor::ConsumerMonitor;
use super::progress::ConsumerStatus;
use super::pubsub::Listener;
use super::reader::Reader;
use super::session::{SessionEnd, pause};
use crate::backoff::Backoff;
use crate::recurring_failure::RecurringFailure;

/// A session that lasted this long was stable: the next attempt follows soon.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// Logs the end of an outage as soon as the session has read for a while. Never returns.
async fn log_recovery_when_stable(
    status: &mut watch::Receiver<ConsumerStatus>, outage: &RecurringFailure,
) -> Infallible {
    // The task itself owns the sender, which outlives the session.
    let _ = status.wait_for(|status| status.connected).await;
    sleep(STABLE_AFTER).await;
    outage.recovered();
    std::future::pending().await
}

pub(super) enum Task<R> {
    /// As a member of a group.
    Group(Group<R>),
    /// All events, with its own position.
    Reader(Reader<R>),
    /// The messages of the Pub/Sub channel.
    Listener(Listener<R>),
}

impl<R: EventHandler> Task<R> {
    /// Runs sessions for the events of `stream` until `stop`.
    pub(super) async fn run(mut self, stream: &'static str, monitor: ConsumerMonitor, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        let outage =
            RecurringFailure::new(stream, "a consumer cannot read its events", "a consumer reads its events again");
        while !stop.is_cancelled() {
            let began = Instant::now();
            let mut status = monitor.status.subscribe();
            let session = async {
                match &mut self {
                    Self::Group(group) => group.session().await,
                    Self::Reader(reader) => reader.session().await,
                    Self::Listener(listener) => listener.session().await,
                }
            };
            // A panic is a bug in this program, but it must not end the reading of events.
            let session = AssertUnwindSafe(session).catch_unwind();
            let ended = tokio::select! {
                ended = session => ended,
                never = log_recovery_when_stable(&mut status, &outage) => match never {},
            };
            let trouble = match ended {
                Ok(Ok(()) | Err(SessionEnd::Stopped)) => break,
                Ok(Err(SessionEnd::Redis(error))) => error.to_string(),
                Err(_) => "it panicked; the panic was logged".to_owned(),
            };
            monitor.connected(false);
            if began.elapsed() >= STABLE_AFTER {
                backoff = Backoff::new();
            }
            outage.failed(trouble);
            if pause(&stop, &mut backoff).await.is_err() {
                break;
            }
        }
        monitor.connected(false);
    }
}
