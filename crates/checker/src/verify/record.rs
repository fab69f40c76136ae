//! The records of all operations, with the times of one monotonic clock, and the broken promises with their evidence.

use std::fmt;
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

/// What is wrong with a read or a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Anomaly {
    /// The read showed an older version than the floor, for longer than the subject promises.
    Stale,
    /// The read showed a version whose write had not begun, or that was never written.
    Future,
    /// The read showed parts of two writes, or a version together with the contents of another version.
    Torn,
    /// The read showed an older version than its own session had seen before.
    Backwards,
    /// Two writes of a product received the same version: one of them was lost.
    Lost,
}

/// A broken promise.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Violation {
    /// A read showed something that it must not.
    Read(Misread),
    /// A write was lost.
    Write(Lost),
}

/// Two writes that made the same version.
#[derive(Clone, Debug, Serialize)]
pub struct Lost {
    /// [`Anomaly::Lost`].
    pub anomaly: Anomaly,
    /// The version that both made.
    pub version: u32,
    /// The two writes, in the order of their responses.
    pub writes: [Write; 2],
}

/// A read that broke a promise, with its evidence.
#[derive(Clone, Debug, Serialize)]
pub struct Misread {
    /// What is wrong.
    pub anomaly: Anomaly,
    /// The read.
    pub read: Read,
    /// The version that it showed, if it is known.
    pub version: Option<u32>,
    /// The minimum version that it should have shown.
    pub floor: u32,
    /// How long the shown version had been outdated when the read began.
    pub stale_for: Nanos,
    /// What its session had last seen of the product before.
    pub before: Option<(u32, Read)>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(misread) => misread.fmt(f),
            Self::Write(lost) => lost.fmt(f),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = &self.writes;
        write!(f, "{:?}: product {}: version {} was made by ", self.anomaly, first.key, self.version)?;
        for (write, then) in [(first, " and by "), (second, "")] {
            let (begin, end) = (millis(write.begin), millis(write.end));
            write!(f, "write {} at {begin:.3}–{end:.3} ms (session {}){then}", write.number, write.session)?;
        }
        Ok(())
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = &self.read;
        write!(f, "{:?}: product {} at {:.3}–{:.3} ms ", self.anomaly, read.key, millis(read.begin), millis(read.end))?;
        write!(f, "(session {}, replica {}, {}): ", read.session, read.node, read.source)?;
        match read.seen {
            Seen::Absent => write!(f, "nothing")?,
            Seen::Torn => write!(f, "parts of several writes")?,
            Seen::Write { number, .. } => write!(f, "write {number}")?,
        }
        if let Some(version) = self.version {
            write!(f, ", version {version}")?;
        }
        write!(f, ", at least {} was due, outdated for {:.3} ms", self.floor, millis(self.stale_for))?;
        match &self.before {
            Some((version, before)) if self.anomaly == Anomaly::Backwards => {
                let (begin, end) = (millis(before.begin), millis(before.end));
                write!(f, "; its session had seen version {version} at {begin:.3}–{end:.3} ms ({})", before.source)
            }
            _ => Ok(()),
        }
    }
}
