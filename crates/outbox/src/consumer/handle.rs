//! The consumer of one process.

use std::sync::Arc;
use std::time::Duration;

use redis_connect::RedisAddress;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::effects::Effects;
use super::group::Group;
use super::handler::EventHandler;
use super::meter::Meter;
use super::monitor::ConsumerMonitor;
use super::progress::{ConsumerStatus, Followed};
use super::pubsub::{Listener, OnLoss};
use super::reader::Reader;
use super::retry::{RecentEvents, Retry, no_outage};
use super::session::SessionContext;
use super::settings::{ChannelSubscription, ConsumerSettings, Delivery, Subscription, Transport};
use super::stream::Scripts;
use super::task::Task;
use crate::event::EventSource;
use crate::redis::COMMAND_TIMEOUT;

/// The task of a process that reads a stream. Stop it with [`Consumer::stop`]. Dropping it also stops the task, without
/// waiting for the task to end.
#[derive(Debug)]
pub struct Consumer {
    followed: Followed,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Starts to read. The task waits for an unavailable Redis; after the start, only [`stop`](Self::stop) ends the
    /// task.
    pub fn start<R: EventHandler>(
        settings: &ConsumerSettings, redis: &RedisAddress, subscription: Subscription, handler: R,
    ) -> Self {
        let Subscription { source, delivery, dead_letters, log } = subscription;
        let (name, applied) = match delivery {
            Delivery::Group(name) => (name, Some(RecentEvents::default())),
            Delivery::Log(_) => ("log", None),
        };
        let meter = Meter::new(source.stream, name);
        Self::spawn(settings, redis, source, meter, |session, stop| {
            let retry = Retry {
                handler,
                source,
                monitor: session.monitor.clone(),
                stop,
                handler_timeout: settings.handler_timeout,
                max_attempts: u64::from(settings.max_attempts.max(1)),
                applied,
                outage: no_outage(source),
            };
            match (settings.transport, source.channel, delivery) {
                (Transport::Pubsub, Some(channel), _) => {
                    // After the timeout of a call, its events would be lost.
                    let retry = Retry { handler_timeout: Duration::MAX, ..retry };
                    Task::Listener(Listener::new(
                        source.stream,
                        channel,
                        COMMAND_TIMEOUT,
                        OnLoss::Accept,
                        session,
                        retry,
                    ))
                }
                (_, _, delivery) => {
                    let effects = Effects { retry, log, dead_letters };
                    match delivery {
                        Delivery::Log(position) => Task::Reader(Reader::new(position, session, effects)),
                        Delivery::Group(name) => Task::Group(Group::new(name, session, effects)),
                    }
                }
            }
        })
    }

    /// Starts to listen to a Pub/Sub channel. Whenever messages may have been missed, the consumer calls
    /// [`EventHandler::resync`]: after it has subscribed, each time, and when messages come too fast or cannot be applied.
    /// It skips a message that cannot be read ([`EventHandler::unreadable`]). It exports no metrics.
    pub fn listen<R: EventHandler>(redis: &RedisAddress, subscription: ChannelSubscription, handler: R) -> Self {
        let ChannelSubscription { stream, channel, types, command_timeout } = subscription;
        // The channel stands for the stream in log messages.
        let source = EventSource { stream: channel, channel: Some(channel), types };
        let settings = ConsumerSettings::default();
        Self::spawn(&settings, redis, source, Meter::none(), |session, stop| {
            let (monitor, outage) = (session.monitor.clone(), no_outage(source));
            let handler_timeout = settings.handler_timeout;
            let retry =
                Retry { handler, source, monitor, stop, handler_timeout, max_attempts: 1, applied: None, outage };
            Task::Listener(Listener::new(stream, channel, command_timeout, OnLoss::Resync, session, retry))
        })
    }

    fn spawn<R: EventHandler>(
        settings: &ConsumerSettings, redis: &RedisAddress, source: EventSource, meter: Meter,
        task: impl FnOnce(SessionContext, CancellationToken) -> Task<R>,
    ) -> Self {
        let (status_sender, status) = watch::channel(ConsumerStatus::default());
        let (monitor, stop) = (ConsumerMonitor::new(meter, status_sender), CancellationToken::new());
        let ask = Arc::clone(&monitor.ask);
        let session = SessionContext {
            redis: redis.clone(),
            stream: source.stream,
            scripts: Scripts::new(),
            batch: settings.batch.max(1) as u64,
            claim_after: settings.claim_after,
            monitor: monitor.clone(),
            stop: stop.clone(),
        };
        let task = task(session, stop.clone());
        let task = tokio::spawn(task.run(source.stream, monitor, stop.clone()));
        Self { followed: Followed { status, ask }, stop: stop.drop_guard(), task }
    }

    /// Returns the current status.
    pub fn status(&self) -> ConsumerStatus {
        *self.followed.status.borrow()
    }

    /// Returns a receiver that observes changes of [`status`](Self::status).
    pub fn watch(&self) -> watch::Receiver<ConsumerStatus> {
        self.followed.status.clone()
    }

    /// Returns what an [`EventProgress`](super::EventProgress) follows.
    pub fn followed(&self) -> Followed {
        self.followed.clone()
    }

    /// Lets the current call of the event handler finish, then ends the task.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}
