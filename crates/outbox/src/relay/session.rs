//! The relay's own connections to Postgres: one for statements, one for notifications.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{Backoff, RecurringFailure};

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
pub(super) async fn connect(url: &str) -> ConnectionResult<AsyncPgConnection> {
    in_time(database::establish(url, SETUP, SILENCE)).await
}

async fn connect_to_listen(url: &str) -> ConnectionResult<(AsyncPgConnection, UnboundedReceiver<()>)> {
    in_time(async {
        let (mut connection, notifications) = database::establish_listening(url, SETUP, SILENCE).await?;
        // In a separate statement, so that `pg_stat_activity` shows the purpose of this session.
        connection.batch_execute("LISTEN outbox").await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok((connection, notifications))
    })
    .await
}

async fn in_time<T>(connecting: impl Future<Output = ConnectionResult<T>>) -> ConnectionResult<T> {
    let late = |_| Err(ConnectionError::BadConnection(format!("no answer within {CONNECT:?}")));
    timeout(CONNECT, connecting).await.unwrap_or_else(late)
}

/// Wakes the relay with each `NOTIFY outbox`, and once after each connection, because notifications before it are lost.
pub(super) async fn listen(url: String, wake: Arc<Notify>, stop: CancellationToken) {
    let listening = async {
        let mut backoff = Backoff::between(LISTEN_AGAIN.0, LISTEN_AGAIN.1);
        let (failing, recovered) =
            ("the relay cannot listen to the outbox; it polls meanwhile", "the relay listens to the outbox again");
        let outage = RecurringFailure::new("outbox", failing, recovered);
        loop {
            match timeout(LISTEN, hear(&url, &wake)).await {
                // The next connection receives the following notifications.
                Err(_) => {
                    backoff.reset();
                    outage.recovered();
                    continue;
                }
                Ok(Ok(())) => {
                    backoff.reset();
                    outage.recovered();
                }
                Ok(Err(error)) => outage.failed(error),
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
async fn hear(url: &str, wake: &Notify) -> ConnectionResult<()> {
    let (_connection, mut notifications) = connect_to_listen(url).await?;
    wake.notify_one();
    while notifications.recv().await.is_some() {
        wake.notify_one();
    }
    debug!("the connection that listens to the outbox has ended");
    Ok(())
}
