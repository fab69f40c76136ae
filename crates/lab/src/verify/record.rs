//! What was done and seen: one record for every operation, on one monotonic clock.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cache_status::Source;

/// Nanoseconds since the run began. One clock for all operations: they are all made by this process.
pub(crate) type Nanos = u64;

/// The one clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time now.
    pub(crate) fn now(self) -> Nanos {
        Nanos::try_from(self.0.elapsed().as_nanos()).unwrap_or(Nanos::MAX)
    }
}

/// A product as one answer showed it. Page reads make several of these.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Read {
    /// When the request was sent.
    pub begin: Nanos,
    /// When the answer was there.
    pub end: Nanos,
    /// Which product, counted through all subjects.
    pub key: u32,
    /// Who read: reads of one session come one after the other.
    pub session: u32,
    /// Which replica answered.
    pub node: u8,
    /// Where the answer came from.
    pub source: Source,
    /// Whether a cache held the answer, or holds it now.
    pub kept: bool,
    /// Whether the answer itself says that it may be outdated.
    pub flagged: bool,
    /// What it showed.
    pub seen: Seen,
}

/// What an answer showed of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Seen {
    /// That there is none.
    Absent,
    /// The write of this number, and the version, where it is shown.
    Write {
        /// Its number.
        number: u32,
        /// The version.
        version: Option<u32>,
    },
    /// Parts of two writes, or something that nobody wrote.
    Torn,
}

/// A write.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Write {
    /// When the request was sent.
    pub begin: Nanos,
    /// When the answer was there, or it was given up.
    pub end: Nanos,
    /// Which product.
    pub key: u32,
    /// Who wrote.
    pub session: u32,
    /// Which replica was asked.
    pub node: u8,
    /// What the answer's `Cache-Status` says of where it came from.
    pub source: Source,
    /// Its number, which no other write has.
    pub number: u32,
    /// What became of it.
    pub outcome: Written,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// It made this version, and what the cache held before is gone, or announced: what the strategy does is done.
    Acknowledged(u32),
    /// It made this version; the invalidation is still to come.
    Deferred(u32),
    /// Nobody knows.
    Unknown,
}

/// A read without a useful answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// When the request was sent.
    pub begin: Nanos,
    /// When it was given up.
    pub end: Nanos,
    /// Which product was asked for.
    pub key: u32,
    /// Who read.
    pub session: u32,
    /// Which replica was asked.
    pub node: u8,
}

/// Milliseconds, for people.
pub(crate) fn millis(nanos: Nanos) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e3
}
