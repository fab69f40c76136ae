//! From a stream to an effect, at least once.
//!
//! A service says what an event does ([`EventHandler`]), and starts a [`Consumer`] that does it: one supervised task which
//! reads, applies, and only then acknowledges. It ends by [`Consumer::stop`] only.
//!
//! | what happens | what the consumer does |
//! |---|---|
//! | an event comes twice | applies it once: it remembers the numbers of late |
//! | a number is missing | fetches the missing ones from the log, or has everything dropped ([`EventHandler::resync`]) |
//! | a process dies between effect and acknowledgement | a peer claims what it left, and applies it again |
//! | a reaction takes long | keeps its events from being claimed |
//! | the reaction says [`HandlerError::Unavailable`] | waits and tries again, for as long as it takes |
//! | the reaction says [`HandlerError::Refused`] too often, or panics | dead letter, and resync: what the event touched is dropped |
//! | a message cannot be read | dead letter with the reason; the log's copy is applied, or resync; a later schema means resync |
//! | Redis comes back as another one | resync, and on from where the new one is |
//! | Redis hangs or is away | connects again; a [`Delivery::Log`] reads the log meanwhile |
//! | the log has forgotten | resync, and on from where that says |
//! | the log has another history: its database was restored | resync, and on from where that says |
//! | the stream cannot be read, or a reaction fails for long | [`EventProgress`] says so |
//!
//! # How it hangs together
//! `task` runs one session after the other: `join` and `group`, or `reader`, or `pubsub`. A session reads a
//! slice of the stream, `plan` says what it asks for, `reactor` applies it with `retry` and `backfill`.
//! `stream` and its `scripts` are the only ones who talk to Redis.
//!
//! # What can still go wrong
//! An event may be carried out twice: after a crash, or by two processes when one of them was frozen for longer than
//! [`ConsumerSettings::claim_after`]. Events of a group may be carried out out of their order, by several processes or
//! after a claim. A reaction that never returns holds up its consumer, and [`Consumer::stop`]. Dead letters beyond
//! 10,000 are forgotten.

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
use crate::contract::{Event, EventData};
use crate::log::{EventLog, LogPosition};
use crate::{RecurringFailure, Source, backoff};

/// How events reach a service. The `[events]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerSettings {
    /// Over the stream, or over Pub/Sub, which loses what nobody hears.
    pub transport: Transport,
    /// The most events in one reaction. Default 1,000.
    pub batch: usize,
    /// What a peer has not acknowledged for this long is taken over. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub claim_after: Duration,
    /// How often a refused event is tried before it becomes a dead letter. Default 5.
    pub max_attempts: u32,
    /// Where events have not been carried out up to the newest for longer than this, what depends on them counts as
    /// outdated. Default 5 s. Looked at once a second, so less than [`ConsumerSettings::LEAST_STALE_AFTER`] makes no sense.
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
    /// A look and a log that hangs take up to two seconds.
    pub const LEAST_STALE_AFTER: Duration = Duration::from_secs(3);
}

/// How events travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The stream: what is missed is delivered later.
    Stream,
    /// The Pub/Sub channel as it comes, to show what that costs: what is missed is lost, nothing makes it good. Where a
    /// source has no channel, the stream.
    Pubsub,
}

/// Who gets which events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All processes that name this group share its events: each event goes to one of them. Its effect is on something
    /// they share too. A new group begins with what comes next, and with a resync.
    ///
    /// A service that knows how far it is ([`EventHandler::position`]) has a new group begin there, without a resync.
    Group(&'static str),
    /// Every event, in order and without holes, beginning after this one; nothing is acknowledged. For a process
    /// whose effect is its own, and which stores its position with it.
    Log(LogPosition),
}

/// How far a service is that stores its position with its effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Every event up to this number is carried out.
    pub seq: u64,
    /// The newest event that is carried out: `seq`, or a later one where several processes share the work. It tells which
    /// history of the log the effects are of.
    pub newest: LogPosition,
}

impl Position {
    /// Everything up to this event is carried out. Its epoch is known as far as the newest event tells it.
    pub fn mark(&self) -> LogPosition {
        LogPosition { seq: self.seq, epoch: self.newest.epoch.filter(|_| self.seq <= self.newest.seq) }
    }
}

impl From<u64> for Position {
    fn from(seq: u64) -> Self {
        Self { seq, newest: seq.into() }
    }
}

/// What events do to a service. Everything here may be called again with the same events.
pub trait EventHandler: Send + Sync + 'static {
    /// What the stream carries.
    type Data: EventData;

    /// Carries out what `events`, in the order of their numbers, mean. When it returns `Ok`, all of it is done and will
    /// not be asked for again.
    fn apply(&self, events: &[Event<Self::Data>]) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Events may have been missed: drops, or makes anew, whatever depends on them. Returns the event after which a
    /// [`Delivery::Log`] goes on, where that has changed.
    fn resync(&self, why: Resync) -> impl Future<Output = Result<Option<LogPosition>, HandlerError>> + Send;

    /// How far this service is, for one that stores that with its effects. A group is made there: at first, and when Redis
    /// has lost it. It is also compared with the group, which is ahead of it where the service's database was restored.
    fn position(&self) -> impl Future<Output = Result<Option<Position>, HandlerError>> + Send {
        async { Ok(None) }
    }

    /// Events up to `until` are not to be had: a [`Resync::Gap`] has made good what they meant. A service that stores its
    /// position is past them with this.
    fn skip(&self, _until: u64) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// These events were set aside, and whatever they harmed is made good. A service that stores its position is past
    /// them with this.
    fn skip_dead_letters(&self, _numbers: &[u64]) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }
}

/// Why an event has not been carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// Something that the reaction needs is away: it is tried again until it is back.
    #[error("not available: {0}")]
    Unavailable(String),
    /// This event cannot be carried out, though everything is there.
    #[error("refused: {0}")]
    Refused(String),
}

/// Why events may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resync {
    /// Nobody has read for this group before.
    NewGroup,
    /// Numbers are missing, and the log does not have them.
    Gap,
    /// An event could not be understood or carried out.
    LostEvent,
    /// Redis is another one than before: what it holds may be of any age.
    RedisChanged,
    /// The log has another history than the events that were carried out: its database was restored, or is another one.
    OtherHistory,
}

/// What a consumer reads, and what it does where that has a hole.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Where the events are.
    pub source: Source,
    /// Who gets which.
    pub delivery: Delivery,
    /// The stream for what cannot be carried out, such as `cart:~dead-letters`.
    pub dead_letters: String,
    /// Where the missing ones are fetched.
    pub log: EventLog,
}

/// The one task of a process that reads a stream. Stop it with [`Consumer::stop`]; dropped, it stops as well, and nobody
/// waits for that.
#[derive(Debug)]
pub struct Consumer {
    status: watch::Receiver<ConsumerStatus>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Starts to read. A Redis that is away is waited for; nothing that comes later ends the task but [`stop`](Self::stop).
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn start<R: EventHandler>(
        settings: &ConsumerSettings,
        redis_url: &str,
        subscription: Subscription,
        handler: R,
    ) -> Result<Self, crate::RedisUrlError> {
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
            stream: source.stream,
            log,
            monitor: ConsumerMonitor::new(Meter::new(source.stream, name), status_sender),
            stop: stop.clone(),
            max_attempts: u64::from(settings.max_attempts.max(1)),
            apply_failure: RecurringFailure::new(
                source.stream,
                "events are heard in vain",
                "events have their effect again",
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

    /// How it is doing just now.
    pub fn status(&self) -> ConsumerStatus {
        *self.status.borrow()
    }

    /// Waits for changes of [`status`](Self::status).
    pub fn watch(&self) -> watch::Receiver<ConsumerStatus> {
        self.status.clone()
    }

    /// Lets the reaction under way finish, then ends.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}
