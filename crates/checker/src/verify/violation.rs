//! Broken promises, each with its evidence.

use std::fmt;

use serde::Serialize;

use super::record::{Nanos, Read, Seen, Write, millis};

/// What is wrong with a read or a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
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
    /// [`Fault::Lost`].
    pub fault: Fault,
    /// The version that both made.
    pub version: u32,
    /// The two writes, in the order of their responses.
    pub writes: [Write; 2],
}

/// A read that broke a promise, with its evidence.
#[derive(Clone, Debug, Serialize)]
pub struct Misread {
    /// What is wrong.
    pub fault: Fault,
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
        write!(f, "{:?}: product {}: version {} was made by ", self.fault, first.key, self.version)?;
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
        write!(f, "{:?}: product {} at {:.3}–{:.3} ms ", self.fault, read.key, millis(read.begin), millis(read.end))?;
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
            Some((version, before)) if self.fault == Fault::Backwards => {
                let (begin, end) = (millis(before.begin), millis(before.end));
                write!(f, "; its session had seen version {version} at {begin:.3}–{end:.3} ms ({})", before.source)
            }
            _ => Ok(()),
        }
    }
}
