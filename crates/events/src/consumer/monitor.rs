//! How far behind a consumer is: looked up every second, beside the reading.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::ConsumerStatus;
use super::meter::Meter;
use super::stream::Stream;

const EVERY: Duration = Duration::from_secs(1);

/// What a consumer shows of itself.
#[derive(Clone)]
pub(super) struct Signs {
    pub(super) meter: Meter,
    pub(super) status: watch::Sender<ConsumerStatus>,
}

impl Signs {
    /// Whether there is a connection to read from.
    pub(super) fn connected(&self, connected: bool) {
        self.meter.connected.set(if connected { 1.0 } else { 0.0 });
        self.status.send_if_modified(|status| std::mem::replace(&mut status.connected, connected) != connected);
    }

    /// How many events are not carried out, and the oldest of them where it is known.
    pub(super) fn lag(&self, lag: u64, oldest: Option<&[u8]>) {
        self.meter.lag(lag, oldest.filter(|_| lag > 0).and_then(occurred));
        self.status.send_if_modified(|status| std::mem::replace(&mut status.lag, lag) != lag);
    }

    /// This is carried out.
    pub(super) fn reached(&self, seq: u64) {
        self.status.send_if_modified(|status| {
            let further = seq > status.position;
            status.position = status.position.max(seq);
            further
        });
    }

    /// Everything up to here is carried out, and nothing after it.
    pub(super) fn at(&self, seq: u64) {
        self.status.send_if_modified(|status| std::mem::replace(&mut status.position, seq) != seq);
    }
}

/// Looks every second, for ever. Without a group (an empty name), the position in the status is what counts.
///
/// It sees a connection that breaks while a reaction takes long; what to do about it is for whoever reads.
pub(super) async fn watch(stream: &Stream, group: &str, signs: Signs) -> Infallible {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let position = signs.status.borrow().position;
        let look = stream.look(group, position).await;
        signs.connected(look.is_ok());
        match look {
            Ok(look) => signs.lag(look.lag(), look.oldest.as_deref()),
            Err(error) => debug!(%error, "cannot look up the lag"),
        }
    }
}

/// When an event occurred, of whatever type or schema.
fn occurred(json: &[u8]) -> Option<DateTime<Utc>> {
    #[derive(Deserialize)]
    struct Dated {
        occurred_at: DateTime<Utc>,
    }
    serde_json::from_slice::<Dated>(json).ok().map(|dated| dated.occurred_at)
}
