//! Listens to a Pub/Sub channel, which delivers a message only to its current subscribers.
//!
//! The transport `pubsub` shows the cost: missed events are lost. A handler that can drop everything instead listens
//! with [`OnLoss::Resync`]: it resyncs after each new subscription and after each overflow.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use fred::clients::SubscriberClient;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientInterface, ClientLike, EventInterface, PubsubInterface, StreamsInterface};
use fred::types::{Message, Value};
use redis_connect::wait_for_silence;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::handler::{EventHandler, Resync};
use super::monitor::ConsumerMonitor;
use super::retry::Retry;
use super::session::{SessionContext, SessionEnd, Stopped};
use crate::event::Event;
use crate::recurring_failure::RecurringFailure;

const ATTEST_EVERY: Duration = Duration::from_secs(1);

/// What to do when messages may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnLoss {
    /// Nothing: the loss is accepted.
    Accept,
    /// Resync: the handler drops everything that depends on events.
    Resync,
}

pub(super) struct Listener<R> {
    session: SessionContext,
    /// The stream whose events the channel carries.
    stream: &'static str,
    channel: &'static str,
    /// The timeout of a Redis command.
    timeout: Duration,
    on_loss: OnLoss,
    retry: Retry<R>,
    /// The failure to apply messages, which are not retried.
    apply_failure: RecurringFailure,
    /// The failure to read messages, which are skipped.
    read_failure: RecurringFailure,
}

impl<R: EventHandler> Listener<R> {
    pub(super) fn new(
        stream: &'static str, channel: &'static str, timeout: Duration, on_loss: OnLoss, session: SessionContext,
        retry: Retry<R>,
    ) -> Self {
        let apply_failure = RecurringFailure::new(
            session.stream, "the event handler fails; events have no effect", "the event handler succeeds again",
        );
        let read_failure = RecurringFailure::new(
            channel, "a message of the channel cannot be read and is skipped",
            "messages of the channel can be read again",
        );
        Self { session, stream, channel, timeout, on_loss, retry, apply_failure, read_failure }
    }

    /// Listens until the consumer is stopped or the connection breaks.
    pub(super) async fn session(&mut self) -> Result<(), SessionEnd> {
        let stop = self.session.stop.clone();
        let listens = async {
            let client = self.session.subscriber(self.stream, self.timeout).await?;
            let (messages, mut breaks) = (client.message_rx(), client.error_rx());
            let _connection = AbortOnDropHandle::new(client.connect());
            redis_connect::connected(&client).await?;
            breaks = breaks.resubscribe();
            self.subscribe(&client).await?;
            // After the subscription: an event between the two would otherwise neither be received nor be covered by
            // the resync.
            self.missed().await?;
            self.session.monitor.connected(true);
            info!(
                channel = self.channel,
                "subscribed to the channel; events published during a disconnection are lost"
            );
            let (monitor, stream) = (self.session.monitor.clone(), self.stream);
            tokio::select! {
                heard = self.hear(messages) => heard.map_err(SessionEnd::from),
                never = attest(&monitor) => match never {},
                moved = stream_moves(&client, stream) => Err(moved.into()),
                // A connection that only listens does not notice that its peer is gone.
                () = wait_for_silence(&client) => Err(Error::new(ErrorKind::Timeout, "Redis does not answer").into()),
                broken = breaks.recv() => match broken {
                    Ok((error, _)) => Err(error.into()),
                    Err(_) => Ok(()),
                },
            }
        };
        tokio::select! {
            ended = listens => ended,
            () = stop.cancelled() => Err(SessionEnd::Stopped),
        }
    }

    /// Subscribes, and records whether that failed.
    async fn subscribe(&self, client: &SubscriberClient) -> Result<(), Error> {
        let subscribed = subscribe(client, self.channel).await;
        self.session.monitor.refused(subscribed.is_err());
        subscribed
    }

    /// Compensates for messages that may have been missed.
    async fn missed(&mut self) -> Result<(), Stopped> {
        match self.on_loss {
            OnLoss::Accept => Ok(()),
            OnLoss::Resync => self.retry.resync(Resync::Unsubscribed).await.map(drop),
        }
    }

    /// Receives and applies messages, while the client lives.
    async fn hear(&mut self, mut messages: Receiver<Message>) -> Result<(), Stopped> {
        loop {
            let (mut heard, mut lost) = (Vec::new(), 0);
            match messages.recv().await {
                Ok(message) => heard.push(message),
                Err(RecvError::Lagged(more)) => lost += more,
                Err(RecvError::Closed) => return Ok(()),
            }
            while (heard.len() as u64) < self.session.batch {
                match messages.try_recv() {
                    Ok(message) => heard.push(message),
                    Err(TryRecvError::Lagged(more)) => lost += more,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            let meter = &self.session.monitor.meter;
            meter.lost.increment(lost);
            meter.received.increment(heard.len() as u64);
            let mut events: Vec<Event<R::Data>> = heard.iter().filter_map(|message| self.parse(message)).collect();
            events.sort_by_key(|event| event.seq);
            let is_applied = events.is_empty() || self.apply(&events).await;
            if lost > 0 || !is_applied {
                self.missed().await?;
            }
        }
    }

    /// Applies events once. Returns whether that succeeded.
    async fn apply(&self, events: &[Event<R::Data>]) -> bool {
        let applied = self.retry.apply_once(events).await;
        match &applied {
            Ok(()) => {
                self.apply_failure.recovered();
            }
            Err(reason) => self.apply_failure.failed(reason),
        }
        applied.is_ok()
    }

    fn parse(&self, message: &Message) -> Option<Event<R::Data>> {
        let json = message.value.as_bytes().unwrap_or_default();
        match Event::parse(json, self.retry.source.types) {
            Ok(event) => {
                self.read_failure.recovered();
                Some(event)
            }
            Err(error) => {
                self.read_failure.failed(&error);
                self.session.monitor.meter.lost.increment(1);
                self.retry.handler.unreadable(&error);
                None
            }
        }
    }
}

/// Subscribes, and verifies the subscription. The client does not always report a refusal: it may count a subscription as
/// made when the command is written. So this queries the server.
async fn subscribe(client: &SubscriberClient, channel: &'static str) -> Result<(), Error> {
    client.subscribe(channel).await?;
    let info: String = client.client_info().await?;
    match info.contains(" sub=1 ") {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Auth, "the subscription was refused")),
    }
}

/// Returns an error when the server of this connection no longer has `stream`. The relay publishes where the stream is; a
/// message that comes from another server of a cluster may be lost without a trace.
async fn stream_moves(client: &SubscriberClient, stream: &str) -> Error {
    loop {
        sleep(ATTEST_EVERY).await;
        // Any other error tells nothing about the place of the stream.
        match client.xinfo_stream::<Value, _>(stream, false, None).await {
            Err(error) if *error.kind() == ErrorKind::Cluster => return error,
            Ok(_) | Err(_) => {}
        }
    }
}

/// Marks the consumer as verified once a second. It applies received events at once, and compensates for other events or
/// accepts their loss. So listening is all that can be verified. Never returns.
async fn attest(monitor: &ConsumerMonitor) -> Infallible {
    loop {
        monitor.verified(Instant::now());
        sleep(ATTEST_EVERY).await;
    }
}
