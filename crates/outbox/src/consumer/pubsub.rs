//! Listens to the Pub/Sub channel only, to show the cost: missed events are never backfilled.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use fred::clients::SubscriberClient;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientInterface, ClientLike, EventInterface, PubsubInterface};
use fred::types::Message;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::sleep;
use tracing::{info, warn};

use super::EventHandler;
use super::reactor::Reactor;
use super::session::{Session, SessionEnd};
use crate::event::Event;
use crate::redis;

const ATTEST_EVERY: Duration = Duration::from_secs(1);

/// A subscriber of a channel.
pub(super) struct Listener<R> {
    pub(super) session: Session,
    pub(super) channel: &'static str,
    pub(super) reactor: Reactor<R>,
}

impl<R: EventHandler> Listener<R> {
    /// Listens until the consumer is stopped or the connection breaks.
    pub(super) async fn session(&mut self) -> Result<(), SessionEnd> {
        let client = self.session.subscriber()?;
        let (messages, mut breaks) = (client.message_rx(), client.error_rx());
        let task = client.connect();
        let stop = self.reactor.stop.clone();
        let listens = async {
            client.wait_for_connect().await?;
            breaks = breaks.resubscribe();
            self.subscribe(&client).await?;
            self.reactor.monitor.connected(true);
            info!(
                channel = self.channel,
                "subscribed to the channel; events published during a disconnection are lost"
            );
            tokio::select! {
                () = self.hear(messages) => Ok(()),
                never = self.attest() => match never {},
                // A connection that only listens does not notice that its peer is gone.
                () = redis::wait_for_silence(&client) => Err(Error::new(ErrorKind::Timeout, "Redis does not answer").into()),
                broken = breaks.recv() => match broken {
                    Ok((error, _)) => Err(error.into()),
                    Err(_) => Ok(()),
                },
            }
        };
        let ended = tokio::select! {
            ended = listens => ended,
            () = stop.cancelled() => Err(SessionEnd::Stopped),
        };
        task.abort();
        ended
    }

    /// Subscribes, and verifies the subscription. The client does not report a refusal: it counts a subscription as
    /// made when the command is written. So this queries the server.
    async fn subscribe(&self, client: &SubscriberClient) -> Result<(), Error> {
        client.subscribe(self.channel).await?;
        let info: String = client.client_info().await?;
        match info.contains(" sub=1 ") {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Auth, "the subscription was refused")),
        }
    }

    /// Marks the consumer as verified once a second. It applies received events at once, and the loss of other events
    /// is accepted. So listening is all that can be verified. Never returns.
    async fn attest(&self) -> Infallible {
        loop {
            self.reactor.monitor.verified(Instant::now());
            sleep(ATTEST_EVERY).await;
        }
    }

    /// Receives and applies messages. Never returns while the client lives.
    async fn hear(&self, mut messages: Receiver<Message>) {
        loop {
            let mut heard = match messages.recv().await {
                Ok(message) => vec![message],
                Err(RecvError::Lagged(lost)) => {
                    self.reactor.monitor.meter.lost.increment(lost);
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            while (heard.len() as u64) < self.session.batch {
                match messages.try_recv() {
                    Ok(message) => heard.push(message),
                    Err(TryRecvError::Lagged(lost)) => self.reactor.monitor.meter.lost.increment(lost),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            self.reactor.monitor.meter.received.increment(heard.len() as u64);
            let mut events: Vec<Event<R::Data>> = heard.iter().filter_map(|message| self.parse(message)).collect();
            events.sort_by_key(|event| event.seq);
            if !events.is_empty() {
                self.reactor.apply_once(&events).await;
            }
        }
    }

    fn parse(&self, message: &Message) -> Option<Event<R::Data>> {
        let json = message.value.as_bytes().unwrap_or_default();
        match Event::parse(json, self.reactor.source.types) {
            Ok(event) => Some(event),
            Err(error) => {
                warn!(%error, channel = self.channel, "a message of the channel cannot be read and is skipped");
                self.reactor.monitor.meter.lost.increment(1);
                None
            }
        }
    }
}
