//! Measures the lag of a consumer, and since when it lags: once a second, concurrently with the reads.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::meter::Meter;
use super::progress::{ConsumerStatus, ProgressChecks};
use super::stream::StreamReader;
use crate::log::EventLog;

const EVERY: Duration = Duration::from_secs(1);

/// How long the log may take to return its newest event. Without a response, only the stream determines the newest
/// event.
const LOG_TIMEOUT: Duration = Duration::from_millis(700);

#[derive(Clone)]
pub(super) struct ConsumerMonitor {
    pub(super) meter: Meter,
    pub(super) status: watch::Sender<ConsumerStatus>,
    /// Notified when a reader waits for the position of the group.
    pub(super) ask: Arc<Notify>,
    /// A resync is running: until it ends, the applied events prove nothing.
    resyncing: Arc<AtomicBool>,
    /// It is unknown whether the applied events are part of the log's history.
    unconfirmed: Arc<AtomicBool>,
}

impl ConsumerMonitor {
    pub(super) fn new(meter: Meter, status: watch::Sender<ConsumerStatus>) -> Self {
        Self { meter, status, ask: Arc::default(), resyncing: Arc::default(), unconfirmed: Arc::default() }
    }

    /// Records that everything from before `at` is applied, unless that is in doubt.
    pub(super) fn verified(&self, at: Instant) {
        if self.resyncing.load(SeqCst) || self.unconfirmed.load(SeqCst) {
            return;
        }
        self.meter.verified(at.elapsed());
        self.status.send_modify(|status| status.verified = status.verified.max(Some(at)));
    }

    /// Records that everything up to `seq` is applied by the group, unless that is in doubt.
    fn applied(&self, seq: u64) {
        let seq = if self.resyncing.load(SeqCst) || self.unconfirmed.load(SeqCst) { 0 } else { seq };
        self.status.send_if_modified(|status| std::mem::replace(&mut status.applied, seq) != seq);
    }

    pub(super) fn resyncing(&self, is_under_way: bool) {
        self.resyncing.store(is_under_way, SeqCst);
    }

    /// Sets whether it is in doubt that the applied events are part of the log's history.
    pub(super) fn unconfirmed(&self, is_unsure: bool) {
        self.unconfirmed.store(is_unsure, SeqCst);
    }

    /// Sets whether there is a connection to read from.
    pub(super) fn connected(&self, connected: bool) {
        self.meter.connected.set(if connected { 1.0 } else { 0.0 });
        self.status.send_if_modified(|status| std::mem::replace(&mut status.connected, connected) != connected);
    }

    /// Sets whether Redis responds and refuses reads of the stream.
    pub(super) fn refused(&self, refused: bool) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.refused, refused) != refused);
    }

    /// Sets the number of unapplied events, and the oldest of them if it is known.
    pub(super) fn lag(&self, lag: u64, oldest: Option<&[u8]>) {
        self.meter.lag(lag, oldest.filter(|_| lag > 0).and_then(occurred));
        self.status.send_if_modified(|status| std::mem::replace(&mut status.lag, lag) != lag);
    }

    /// Records that the event `seq` is applied.
    pub(super) fn reached(&self, seq: u64) {
        self.status.send_if_modified(|status| {
            let further = seq > status.position;
            status.position = status.position.max(seq);
            further
        });
    }

    /// Records that everything up to `seq` is applied, and nothing after it.
    pub(super) fn at(&self, seq: u64) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.position, seq) != seq);
    }
}

/// Measures once a second, forever. Without a group (an empty name), the position in the status is used instead.
///
/// It also detects a connection that breaks while the event handler takes long; the reading task handles the failure.
pub(super) async fn watch(stream: &StreamReader, group: &str, log: EventLog, monitor: ConsumerMonitor) -> Infallible {
    let (mut ends, mut made_good) = (ProgressChecks::default(), None);
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = monitor.ask.notified() => {
                let position = monitor.status.borrow().position;
                if let Ok(look) = stream.stream_state(group, position).await {
                    monitor.applied(look.applied(group, made_good));
                }
                continue;
            }
        }
        let position = monitor.status.borrow().position;
        let asked = Instant::now();
        let (look, head) = tokio::join!(stream.stream_state(group, position), log.head(None, LOG_TIMEOUT));
        monitor.connected(look.is_ok());
        match look {
            Ok(look) => {
                monitor.lag(look.lag(), look.oldest.as_deref());
                let head = head.ok().map(|head| head.seq);
                // A group that finds an empty stream was created there, and a resync has compensated for the earlier
                // events. A reader knows its own position.
                if made_good.is_none() {
                    made_good = if group.is_empty() { Some(0) } else { head };
                }
                ends.add(asked, look.newest(head, made_good.unwrap_or(0)));
                monitor.applied(look.applied(group, made_good));
                // Without its group, no event was delivered: the group is about to be created again.
                let done = if look.group || group.is_empty() { ends.reached(look.done) } else { None };
                if let Some(at) = done {
                    monitor.verified(at);
                }
            }
            Err(error) => debug!(%error, "the lag of the consumer cannot be read"),
        }
    }
}

/// Returns when an event of any type or schema occurred.
fn occurred(json: &[u8]) -> Option<DateTime<Utc>> {
    #[derive(Deserialize)]
    struct Dated {
        occurred_at: DateTime<Utc>,
    }
    serde_json::from_slice::<Dated>(json).ok().map(|dated| dated.occurred_at)
}
