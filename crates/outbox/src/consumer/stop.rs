//! Why a consumer stops working: it was stopped, or its session ended.

use fred::error::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// The consumer was stopped before this was done.
#[derive(Debug)]
pub(super) struct Stopped;

#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The consumer was stopped.
    Stopped,
    /// A Redis error; the next session may succeed.
    Redis(Error),
}

impl From<Stopped> for SessionEnd {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Error> for SessionEnd {
    fn from(error: Error) -> Self {
        Self::Redis(error)
    }
}

/// Waits for the next pause of `backoff`. Returns an error if the consumer is stopped.
pub(super) async fn pause(stop: &CancellationToken, backoff: &mut Backoff) -> Result<(), Stopped> {
    tokio::select! {
        () = sleep(backoff.pause()) => Ok(()),
        () = stop.cancelled() => Err(Stopped),
    }
}
