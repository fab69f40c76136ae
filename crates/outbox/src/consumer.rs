//! Applies the events of a stream, at least once.
//!
//! A service defines the effect of an event ([`EventHandler`]), and starts a [`Consumer`]: one supervised task that
//! reads events, applies them, and only then acknowledges them. Only [`Consumer::stop`] ends it.
//!
//! | condition | what the consumer does |
//! |---|---|
//! | an event is delivered twice | applies it once: it remembers the recently applied events |
//! | a number is missing | fetches the missing events from the log, or resyncs ([`EventHandler::resync`]) |
//! | a process dies between effect and acknowledgement | a peer claims its pending entries, and applies them again |
//! | the event handler takes long | extends the claim on its pending entries |
//! | it returns [`HandlerError::Unavailable`] | waits and retries, without limit |
//! | it returns [`HandlerError::Refused`] too often, or panics | dead letter, and resync: affected data is dropped |
//! | a message cannot be read | dead letter; applies the copy in the log, or resyncs; resync for a newer schema |
//! | Redis has restarted | resync, and continue from the position of the new stream |
//! | Redis hangs or is unreachable | reconnects; a [`Delivery::Log`] reads the log in the meantime |
//! | the log no longer has the events | resync, and continue from the position that it returns |
//! | the log has another history: its database was restored | resync, and continue from the position that it returns |
//! | the stream cannot be read, or the event handler fails for long | [`EventProgress`] reports it |
//!
//! # Structure
//! `task` runs one session after the other: `join` and `group`, or `reader`, or `pubsub`. A session reads a batch of
//! entries, `plan` derives the steps for it, `reactor` applies them with `retry` and `backfill`. Only `stream` and its
//! `scripts` talk to Redis.
//!
//! # Limitations
//! The consumer may apply an event twice: after a crash, or when two processes apply it because one of them was frozen
//! for longer than [`ConsumerSettings::claim_after`]. A group may apply events out of order, with several processes or
//! after a claim. An event handler that never returns blocks its consumer, and [`Consumer::stop`]. Redis keeps about
//! 10,000 dead letters; older ones are trimmed.

mod backfill;
mod group;
mod history;
mod join;
mod meter;
mod monitor;
mod plan;
mod progress;
mod pubsub;
mod reactor;
mod reader;
mod recent;
mod retry;
mod scripts;
mod session;
mod stream;
mod task;
mod wire;

use std::future::Future;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::group::Group;
use self::meter::Meter;
use self::monitor::ConsumerMonitor;
pub use self::progress::{ConsumerStatus, EventProgress, ProgressError};
use self::pubsub::Listener;
use self::reactor::Reactor;
use self::reader::Reader;
use self::recent::RecentEvents;
use self::scripts::Scripts;
use self::session::Session;
use self::task::Task;
use crate::backoff;
use crate::event::{Event, EventData};
use crate::log::{EventLog, LogPosition};
use crate::recurring_failure::RecurringFailure;
use crate::redis::RedisUrlError;
use crate::source::EventSource;

/// How a service consumes events. The `[events]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerSettings {
    /// The stream, or Pub/Sub, which loses every event that is published while the service is not subscribed.
    pub transport: Transport,
    /// The maximum number of events that one call of the event handler receives. Default 1,000.
    pub batch: usize,
    /// A pending entry that a peer has not acknowledged for this long is claimed. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub claim_after: Duration,
    /// The number of attempts for a refused event before it becomes a dead letter. Default 5.
    pub max_attempts: u32,
    /// Data that depends on events counts as outdated when the consumer has not applied all events up to the newest for
    /// longer than this. Default 5 s. The consumer checks once a second, so a value below
    /// [`ConsumerSettings::LEAST_STALE_AFTER`] makes no sense.
    #[serde(with = "humantime_serde")]
    pub stale_after: Duration,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            transport: Transport::Stream,
            batch: 1_000,
            claim_after: Duration::from_secs(5),
            max_attempts: 5,
            stale_after: Duration::from_secs(5),
        }
    }
}

impl ConsumerSettings {
    /// The smallest useful `stale_after`: a status query and a hanging log take up to two seconds.
    pub const LEAST_STALE_AFTER: Duration = Duration::from_secs(3);
}

/// How events reach the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The stream: missed events are delivered later.
    Stream,
    /// The Pub/Sub channel only, to show its cost: missed events are lost and never backfilled. For a source without a
    /// channel, the stream.
    Pubsub,
}

/// Which events a process receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All processes with this group name share its events: Redis delivers each event to one of them. The effect is on
    /// something that these processes also share. A new group begins with the next event, after a resync.
    ///
    /// If the service stores its position ([`EventHandler::position`]), a new group begins there, without a resync.
    Group(&'static str),
    /// Every event, in order and without gaps, starting after this position; nothing is acknowledged. For a process
    /// that owns its effect and stores its position with it.
    Log(LogPosition),
}

/// The position of a service that stores it with its effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Every event up to this number is applied.
    pub seq: u64,
    /// The newest applied event: `seq`, or a later one when several processes share the work. Its epoch identifies the
    /// history of the log that the effects belong to.
    pub newest: LogPosition,
}

impl Position {
    /// Returns the event up to which everything is applied. Its epoch is known only if the newest event determines it.
    pub fn mark(&self) -> LogPosition {
        LogPosition { seq: self.seq, epoch: self.newest.epoch.filter(|_| self.seq <= self.newest.seq) }
    }
}

impl From<u64> for Position {
    fn from(seq: u64) -> Self {
        Self { seq, newest: seq.into() }
    }
}

/// The effect of events on a service. The consumer may call every method again with the same events.
pub trait EventHandler: Send + Sync + 'static {
    /// The payload of the stream's events.
    type Data: EventData;

    /// Applies `events`, which are in the order of their numbers. After `Ok`, all of them are applied, and the consumer
    /// does not request them again.
    fn apply(&self, events: &[Event<Self::Data>]) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Drops or rebuilds all data that depends on events, because events may have been missed. Returns the event after
    /// which a [`Delivery::Log`] continues, if that has changed.
    fn resync(&self, why: Resync) -> impl Future<Output = Result<Option<LogPosition>, HandlerError>> + Send;

    /// Returns the position of a service that stores it with its effects. The consumer creates the group at this
    /// position: the first time, and when Redis has lost the group. It also compares the position with the group: the
    /// group is ahead if the service's database was restored.
    fn position(&self) -> impl Future<Output = Result<Option<Position>, HandlerError>> + Send {
        async { Ok(None) }
    }

    /// Advances the stored position of the service to `until`. The events up to `until` are unavailable, and a
    /// [`Resync::Gap`] has already compensated for them.
    fn skip(&self, _until: u64) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Advances the stored position of the service past these dead letters. A resync has already compensated for the
    /// effects that they lose.
    fn skip_dead_letters(&self, _numbers: &[u64]) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }
}

/// Why the event handler did not apply an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// A dependency of the event handler is unavailable. The consumer retries until it is available again.
    #[error("not available: {0}")]
    Unavailable(String),
    /// The event cannot be applied, although all dependencies are available.
    #[error("refused: {0}")]
    Refused(String),
}

/// Why events may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resync {
    /// The group is new: no process has read for it before.
    NewGroup,
    /// Numbers are missing, and the log does not have them.
    Gap,
    /// An event could not be parsed or applied.
    LostEvent,
    /// Redis has restarted or was replaced: its data may be of any age.
    RedisChanged,
    /// The log has another history than the applied events: its database was restored, or is another one.
    OtherHistory,
}

/// What a consumer reads, and where it fetches missing events.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The stream and channel of the events.
    pub source: EventSource,
    /// Which events this process receives.
    pub delivery: Delivery,
    /// The stream for dead letters, such as `shipping:~dead-letters`.
    pub dead_letters: String,
    /// The log from which missing events are fetched.
    pub log: EventLog,
}

/// The task of a process that reads a stream. Stop it with [`Consumer::stop`]. Dropping it also stops the task, without
/// waiting for the task to end.
#[derive(Debug)]
pub struct Consumer {
    status: watch::Receiver<ConsumerStatus>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Starts to read. The task waits for an unavailable Redis; after the start, only [`stop`](Self::stop) ends the
    /// task.
    ///
    /// # Errors
    /// Returns an error if the URL cannot be used.
    pub fn start<R: EventHandler>(
        settings: &ConsumerSettings,
        redis_url: &str,
        subscription: Subscription,
        handler: R,
    ) -> Result<Self, RedisUrlError> {
        let Subscription { source, delivery, dead_letters, log } = subscription;
        let session = Session {
            url: redis_url.to_owned(),
            stream: source.stream,
            scripts: Scripts::new(),
            dead_letters,
            batch: settings.batch.max(1) as u64,
            claim_after: settings.claim_after,
        };
        session.check()?;
        let (status_sender, status) = watch::channel(ConsumerStatus::default());
        let stop = CancellationToken::new();
        let (name, applied) = match delivery {
            Delivery::Group(name) => (name, Some(RecentEvents::default())),
            Delivery::Log(_) => ("log", None),
        };
        let reactor = Reactor {
            handler,
            source,
            log,
            monitor: ConsumerMonitor::new(Meter::new(source.stream, name), status_sender),
            stop: stop.clone(),
            max_attempts: u64::from(settings.max_attempts.max(1)),
            apply_failure: RecurringFailure::new(
                source.stream,
                "the event handler fails; events have no effect",
                "the event handler succeeds again",
            ),
            applied,
        };
        let run_id = None;
        let task = match (settings.transport, source.channel, delivery) {
            (Transport::Pubsub, Some(channel), _) => Task::Listener(Listener { session, channel, reactor }),
            (_, _, Delivery::Log(position)) => Task::Reader(Reader { session, reactor, position, run_id }),
            (_, _, Delivery::Group(name)) => Task::Group(Group::new(name, session, reactor)),
        };
        let task = tokio::spawn(task.run());
        Ok(Self { status, stop: stop.drop_guard(), task })
    }

    /// Returns the current status.
    pub fn status(&self) -> ConsumerStatus {
        *self.status.borrow()
    }

    /// Returns a receiver that observes changes of [`status`](Self::status).
    pub fn watch(&self) -> watch::Receiver<ConsumerStatus> {
        self.status.clone()
    }

    /// Lets the current call of the event handler finish, then ends the task.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}
