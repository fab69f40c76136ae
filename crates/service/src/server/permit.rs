//! What the limiter hands to a connection: its permit and its time limits.

use std::time::Duration;

use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use metrics::{Gauge, gauge};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// How long a refused connection is read, so that its client receives the reason.
const REFUSED_READ_TIME: Duration = Duration::from_secs(1);

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) keep_alive: Duration,
    pub(super) headers_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) write_timeout: Duration,
}

pub(super) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    open: Gauge,
}

impl ConnectionPermit {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        let open = gauge!("http_connections");
        open.increment(1.0);
        Self { _permit: permit, open }
    }

    /// Writes the last response, and keeps the permit until the client has closed the connection, at most for a moment.
    pub(super) fn close_after_reading(self, mut stream: TcpStream, last: Bytes) {
        // Outside a runtime the process is ending.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let _ = timeout(REFUSED_READ_TIME, async {
                if stream.write_all(&last).await.is_ok() && stream.shutdown().await.is_ok() {
                    let mut unread = [0; 4096];
                    while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {}
                }
            })
            .await;
            drop(self);
        });
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}
