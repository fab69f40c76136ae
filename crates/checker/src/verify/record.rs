//! The records of all operations, with the times of one monotonic clock.

use std::time::{Duration, Instant};

use client::Source;
use serde::Serialize;

/// Nanoseconds since the run began. This process makes all operations, so one clock covers them all.
pub(crate) type Nanos = u64;

/// The clock of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub(crate) fn now(self) -> Nanos {
        Nanos::try_from(self.0.elapsed().as_nanos()).unwrap_or(Nanos::MAX)
    }
}

/// A product as one response showed it. A read of a page makes several of these records.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Read {
    /// When the request was sent.
    pub begin: Nanos,
    /// When the response was complete.
    pub end: Nanos,
    /// The product, by an index over all subjects.
    pub key: u32,
    /// The session that read. The reads of one session come one after the other.
    pub session: u32,
    /// The replica that responded.
    pub node: u8,
    /// Where the response came from.
    pub source: Source,
    /// Whether a cache held the response, or holds it now.
    pub kept: bool,
    /// Whether the response itself says that it may be outdated.
    pub flagged: bool,
    /// What it showed.
    pub seen: Seen,
}

/// What a response showed of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Seen {
    /// The product does not exist.
    Absent,
    /// The write of this number, with the version if it is shown.
    Write {
        /// Its number.
        number: u32,
        /// The version.
        version: Option<u32>,
    },
    /// Parts of two writes, or a value that no client wrote.
    Torn,
}

/// A write.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Write {
    /// When the request was sent.
    pub begin: Nanos,
    /// When the response was complete, or the request was given up.
    pub end: Nanos,
    /// The product.
    pub key: u32,
    /// The session that wrote.
    pub session: u32,
    /// The replica to which the request was sent.
    pub node: u8,
    /// The source according to the response's `Cache-Status`.
    pub source: Source,
    /// Its number, which no other write has.
    pub number: u32,
    /// The result of the write.
    pub outcome: Written,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// The write made this version, and the strategy's work is done: the earlier entry is gone, or its invalidation is
    /// announced.
    Acknowledged(u32),
    /// The write made this version; the invalidation is pending.
    Deferred(u32),
    /// It is not known whether the write was committed.
    Unknown,
}

/// A read without a usable response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// When the request was sent.
    pub begin: Nanos,
    /// When the request was given up.
    pub end: Nanos,
    /// The requested product.
    pub key: u32,
    /// The session that read.
    pub session: u32,
    /// The replica to which the request was sent.
    pub node: u8,
}

/// Converts nanoseconds to milliseconds.
pub(crate) fn millis(nanos: Nanos) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e3
}
