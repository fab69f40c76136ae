//! Limits the number of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_http::error::DispatchError;
use actix_web::rt::net::TcpStream;
use tokio::sync::Semaphore;

use super::HttpSettings;
use super::connection::Connection;
use super::permit::{ConnectionPermit, Limits};
use super::refusal;
use super::unsent::UnsentBytes;

/// The number of connections above the limit that may wait for their refusal at once.
const REFUSED_AT_ONCE: usize = 64;

/// Accepts or refuses connections; all worker threads share it.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimiter {
    limits: Limits,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    unsent: UnsentBytes,
    is_full: Arc<AtomicBool>,
    most: usize,
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
            unsent: UnsentBytes::default(),
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
                Ok(Connection::new(stream, self.limits, self.unsent.share(), ConnectionPermit::new(permit)))
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
