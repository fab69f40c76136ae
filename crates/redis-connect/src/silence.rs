//! Servers that have gone silent. If a peer vanishes without closing the connection, the connection looks open for a
//! quarter of an hour, and a client that only listens never notices.

use std::time::Duration;

use fred::error::ErrorKind;
use fred::interfaces::ClientLike;
use tokio::time::sleep;

/// The interval between two pings, and the number of unanswered pings after which a server counts as silent.
const PING_INTERVAL: Duration = Duration::from_millis(500);
const MAX_UNANSWERED_PINGS: u32 = 3;

/// Reconnects `client` whenever its server stops responding. Never returns. A client of a cluster does this by itself, for
/// each node.
pub async fn reconnect_when_silent(client: &impl ClientLike) {
    if client.is_clustered() {
        return std::future::pending().await;
    }
    loop {
        wait_for_silence(client).await;
        // An error means that there is nothing to reconnect. If the server stays silent, the loop tries again.
        let _ = client.force_reconnection().await;
    }
}

/// Returns when the server has not responded for some time.
pub async fn wait_for_silence(client: &impl ClientLike) {
    let mut silent = 0;
    while silent < MAX_UNANSWERED_PINGS {
        sleep(PING_INTERVAL).await;
        let unanswered = client.ping::<()>(None).await.err().is_some_and(|error| is_silence(error.kind()));
        silent = if unanswered { silent + 1 } else { 0 };
    }
}

/// Returns whether the error means that the server did not respond; a refusal is a response.
fn is_silence(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled)
}
