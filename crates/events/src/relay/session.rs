//! The relay's own connections to Postgres: one that works, one that listens.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::ConnectionError;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The pause between two attempts to listen. Polling bridges it.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// How long a connection to Postgres may be silent while it is to answer: longer than any statement takes.
const SILENCE: Duration = Duration::from_secs(7);

/// How long one connection is listened to: whoever only listens does not notice that nobody is there any more.
const LISTEN: Duration = Duration::from_secs(60);

/// A connection on which no statement runs for ever.
pub(super) async fn connect(url: &str) -> Result<AsyncPgConnection, ConnectionError> {
    set_up(database::establish(url, SILENCE, || {})).await
}

async fn set_up(
    establishing: impl Future<Output = Result<AsyncPgConnection, ConnectionError>>,
) -> Result<AsyncPgConnection, ConnectionError> {
    let connecting = async {
        let mut connection = establishing.await?;
        let setup = "SET application_name = 'relay'; SET statement_timeout = 5000";
        connection.batch_execute(setup).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    };
    let late = |_| Err(ConnectionError::BadConnection(format!("no answer within {CONNECT:?}")));
    timeout(CONNECT, connecting).await.unwrap_or_else(late)
}

/// Wakes the relay with each `NOTIFY outbox`, and once after each connection: what was notified before is not heard.
pub(super) async fn listen(url: String, wake: Arc<Notify>, stop: CancellationToken) {
    let listening = async {
        loop {
            match timeout(LISTEN, hear(&url, &wake)).await {
                // The next connection hears what follows.
                Err(_) => continue,
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "cannot listen to the outbox; the relay polls meanwhile"),
            }
            sleep(LISTEN_AGAIN).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.cancelled() => {}
    }
}

/// Returns when the connection ends.
async fn hear(url: &str, wake: &Notify) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut connection = set_up(AsyncPgConnection::establish(url)).await?;
    connection.batch_execute("LISTEN outbox").await?;
    wake.notify_one();
    let mut notifications = std::pin::pin!(connection.notifications_stream());
    while let Some(notification) = notifications.next().await {
        notification?;
        wake.notify_one();
    }
    Ok(())
}
