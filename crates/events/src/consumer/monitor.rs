//! How far behind a consumer is: looked up every second, beside the reading.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::ConsumerStatus;
use super::effects::Effects;
use super::meter::Meter;
use super::stream::Stream;

const EVERY: Duration = Duration::from_secs(1);

/// Whose lag it is.
pub(super) struct Watched {
    group: &'static str,
    meter: Meter,
    status: watch::Sender<ConsumerStatus>,
}

impl Watched {
    /// Without a group (an empty name), the position in the status is what counts.
    pub(super) fn new<R>(effects: &Effects<R>, group: &'static str) -> Self {
        Self { group, meter: effects.meter.clone(), status: effects.status.clone() }
    }
}

/// Says whether there is a connection to read from.
pub(super) fn connected<R>(effects: &Effects<R>, connected: bool) {
    effects.meter.connected.set(if connected { 1.0 } else { 0.0 });
    effects.status.send_if_modified(|status| std::mem::replace(&mut status.connected, connected) != connected);
}

/// Says how far behind it is, where the stream does not tell.
pub(super) fn lag<R>(effects: &Effects<R>, lag: u64) {
    effects.meter.lag(lag, None);
    effects.status.send_if_modified(|status| std::mem::replace(&mut status.lag, lag) != lag);
}

/// Looks every second, for ever. A look that fails is none: who reads will notice.
pub(super) async fn watch(stream: &Stream, watched: Watched) -> Infallible {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let position = watched.status.borrow().position;
        match stream.look(watched.group, position).await {
            Ok(look) => {
                let lag = look.lag();
                watched.meter.lag(lag, look.oldest.as_deref().filter(|_| lag > 0).and_then(occurred));
                watched.status.send_if_modified(|status| std::mem::replace(&mut status.lag, lag) != lag);
            }
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
