//! The relay's own connections to Postgres: one for statements, one for notifications.

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

const CONNECT: Duration = Duration::from_secs(5);

/// The shortest and the longest pause between two attempts to listen, which a standby refuses. Polling replaces
/// notifications in the meantime.
const LISTEN_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How long Postgres may leave a request unanswered: longer than any statement takes.
const SILENCE: Duration = Duration::from_secs(7);

/// How long one connection is used for listening: a connection that only listens does not notice that its peer is gone.
const LISTEN: Duration = Duration::from_secs(60);

/// No statement of these sessions runs forever.
const SETUP: &str = "SET application_name = 'relay'; SET statement_timeout = 5000";

/// Opens a connection for statements.
pub(super) async fn connect(url: &str) -> Result<AsyncPgConnection, ConnectionError> {
    in_time(database::establish(url, SETUP, SILENCE)).await
}

async fn connect_to_listen(url: &str) -> Result<AsyncPgConnection, ConnectionError> {
    in_time(async {
        let mut connection = AsyncPgConnection::establish(url).await?;
        // In a separate statement, so that `pg_stat_activity` shows the purpose of this session.
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

/// Wakes the relay with each `NOTIFY outbox`, and once after each connection, because notifications before it are lost.
pub(super) async fn listen(url: String, wake: Arc<Notify>, stop: CancellationToken) {
    let listening = async {
        let mut backoff = Backoff::between(LISTEN_AGAIN.0, LISTEN_AGAIN.1);
        loop {
            match timeout(LISTEN, hear(&url, &wake)).await {
                // The next connection receives the following notifications.
                Err(_) => {
                    backoff.reset();
                    continue;
                }
                Ok(Ok(())) => backoff.reset(),
                Ok(Err(error)) => debug!(%error, "the relay cannot listen to the outbox; it polls meanwhile"),
            }
            sleep(backoff.pause()).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.cancelled() => {}
    }
}

/// Listens until the connection ends. Returns an error if it cannot connect or listen.
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
