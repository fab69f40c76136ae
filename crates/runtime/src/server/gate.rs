//! Limits the number of connections, and how long each one may keep the service waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use metrics::{Gauge, gauge};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::HttpSettings;
use super::connection::Connection;
use super::refusal;

/// How long a refused connection is read, so that its client receives the reason.
const REFUSED_READ_TIME: Duration = Duration::from_secs(1);
/// The number of connections above the limit that may wait for their refusal at once.
const REFUSED_AT_ONCE: usize = 64;

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) keep_alive: Duration,
    pub(super) headers_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) write_timeout: Duration,
}

/// Accepts or refuses connections; all worker threads share it.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimiter {
    limits: Limits,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    is_full: Arc<AtomicBool>,
    most: usize,
}

/// The permit of an open connection.
pub(super) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    open: Gauge,
}

impl ConnectionLimiter {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let limits = Limits {
            keep_alive: settings.keep_alive,
            headers_timeout: settings.headers_timeout,
            body_timeout: settings.body_timeout,
            write_timeout: settings.write_timeout,
        };
        Self {
            limits,
            places: Arc::new(Semaphore::new(settings.max_connections)),
            refusals: Arc::new(Semaphore::new(REFUSED_AT_ONCE)),
            is_full: Arc::default(),
            most: settings.max_connections,
        }
    }

    /// Accepts a connection, or refuses it because there are too many.
    pub(super) fn admit(&self, stream: TcpStream) -> Result<Connection, DispatchError> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => {
                if self.places.available_permits() > self.most / 10 {
                    self.is_full.store(false, Ordering::Relaxed);
                }
                Ok(Connection::new(stream, self.limits, ConnectionPermit::new(permit)))
            }
            Err(_) => {
                // Logged once until there is room again: otherwise a client could fill the log.
                if !self.is_full.swap(true, Ordering::Relaxed) {
                    tracing::warn!(limit = self.most, "connection limit reached; new connections are refused with 503");
                }
                if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
                    ConnectionPermit::new(permit)
                        .close_after_reading(stream, refusal::response(&refusal::too_many_connections()));
                }
                Err(DispatchError::DisconnectTimeout)
            }
        }
    }
}

impl ConnectionPermit {
    fn new(permit: OwnedSemaphorePermit) -> Self {
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
