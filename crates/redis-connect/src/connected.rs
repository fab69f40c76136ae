//! Waits until a client is connected.

use std::time::Duration;

use fred::error::Error;
use fred::interfaces::ClientLike;
use tokio::time::timeout;

/// How often it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Waits until `client` is connected, without a time limit.
///
/// fred's own `wait_for_connect` looks at the state of the client and then subscribes to the changes of the state. If the
/// connection is established in between, it waits forever. So this function looks again.
///
/// # Errors
/// Returns the error of an attempt to connect that has failed in the meantime.
pub async fn connected(client: &impl ClientLike) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is its home")]
    look_again(|| client.wait_for_connect()).await
}

async fn look_again<W: Future<Output = Result<(), Error>>>(wait: impl Fn() -> W) -> Result<(), Error> {
    loop {
        if let Ok(connected) = timeout(LOOK_AGAIN, wait()).await {
            return connected;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The first wait has missed the connection.
    #[tokio::test(flavor = "current_thread")]
    async fn connection_that_a_wait_has_missed_is_seen_by_the_next_one() {
        let waits = Cell::new(0);
        let wait = || async {
            waits.set(waits.get() + 1);
            if waits.get() == 1 { std::future::pending().await } else { Ok(()) }
        };
        look_again(wait).await.unwrap();
        assert_eq!(waits.get(), 2);
    }
}
