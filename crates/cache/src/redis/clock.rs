//! Redis' time, read without a round trip.
//!
//! Ages are measured on one clock: that of the server that wrote the entry. The probe reads `TIME` twice a second; in
//! between, the monotonic clock of this process advances it. Wall clocks of clients are never compared.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    offset_ms: AtomicI64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), offset_ms: AtomicI64::new(0) }
    }

    /// Sets the server's time, which was read between `asked` and now.
    pub(crate) fn set(&self, server_ms: u64, asked: Instant) {
        let middle = asked.duration_since(self.started) + asked.elapsed() / 2;
        self.offset_ms.store(server_ms as i64 - middle.as_millis() as i64, Relaxed);
    }

    /// Returns milliseconds since 1970 by Redis' clock. Meaningful once the breaker has closed for the first time,
    /// which requires a probe; nothing is read from Redis before that.
    pub(crate) fn now_ms(&self) -> u64 {
        (self.offset_ms.load(Relaxed) + self.started.elapsed().as_millis() as i64).max(0) as u64
    }
}
