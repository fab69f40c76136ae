//! The relay's own connections to Postgres: one that works, one that listens.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use database::SESSION_SETUP;
use diesel::ConnectionError;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::Backoff;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The pauses between two attempts to listen, which a standby refuses. Polling bridges them.
const LISTEN_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How long a connection to Postgres may be silent while it is to answer: longer than any statement takes.
const SILENCE: Duration = Duration::from_secs(7);

/// How long one connection is listened to: whoever only listens does not notice that nobody is there any more.
const LISTEN: Duration = Duration::from_secs(60);

/// On these sessions no statement runs forever.
const SETUP: &str = "SET application_name = 'relay'; SET statement_timeout = 5000";

/// A connection to work on.
pub(super) async fn connect(url: &str) -> Result<AsyncPgConnection, ConnectionError> {
    in_time(database::establish(url, SETUP, SILENCE, || {})).await
}

/// A connection to listen on.
async fn connect_to_listen(url: &str) -> Result<AsyncPgConnection, ConnectionError> {
    in_time(async {
        let mut connection = AsyncPgConnection::establish(url).await?;
        // Apart from the others, so that `pg_stat_activity` shows what this session is for.
        for setup in [&format!("{SESSION_SETUP}; {SETUP}"), "LISTEN outbox"] {
            connection.batch_execute(setup).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        }
        Ok(connection)
    })
    .await
}

async fn in_time(
    connecting: impl Future<Output = Result<AsyncPgConnection, ConnectionError>>,
) -> Result<AsyncPgConnection, ConnectionError> {
    let late = |_| Err(ConnectionError::BadConnection(format!("no answer within {CONNECT:?}")));
    timeout(CONNECT, connecting).await.unwrap_or_else(late)
}

/// Wakes the relay with each `NOTIFY outbox`, and once after each connection: what was notified before is not heard.
pub(super) async fn listen(url: String, wake: Arc<Notify>, stop: CancellationToken) {
    let listening = async {
        let mut backoff = Backoff::between(LISTEN_AGAIN.0, LISTEN_AGAIN.1);
        loop {
            match timeout(LISTEN, hear(&url, &wake)).await {
                // The next connection hears what follows.
                Err(_) => {
                    backoff.reset();
                    continue;
                }
                Ok(Ok(())) => backoff.reset(),
                Ok(Err(error)) => debug!(%error, "cannot listen to the outbox; the relay polls meanwhile"),
            }
            sleep(backoff.pause()).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.cancelled() => {}
    }
}

/// Returns when the connection ends; an error, when there is none or it cannot listen.
async fn hear(url: &str, wake: &Notify) -> Result<(), ConnectionError> {
    let mut connection = connect_to_listen(url).await?;
    wake.notify_one();
    let mut notifications = std::pin::pin!(connection.notifications_stream());
    while let Some(notification) = notifications.next().await {
        if let Err(error) = notification {
            debug!(%error, "the connection that listens to the outbox has ended");
            break;
        }
        wake.notify_one();
    }
    Ok(())
}
