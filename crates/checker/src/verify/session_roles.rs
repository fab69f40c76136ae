//! The roles of a subject's sessions.
//!
//! The patterns hot, Zipf and uniform have independent readers and a writer each. The missing products have a writer
//! that signals its readers, because an independent reader would find an entry that another reader has filled:
//!
//! ```text
//! writer  write ── pause ── signal ── write again ── read, which must not be stale
//! reader                      └──── read            the entry is gone since the first write: it fills
//! reader                      └──── read            so does this one, at the same time
//! ```
//!
//! Announced invalidations arrive during the pause. A cache that keeps an entry through a write of its product
//! (write-through, or a cache that relies on TTLs) has hits nevertheless; the report says how many.

use std::time::Duration;

use tokio::sync::watch;

use super::map::Promise;
use super::workload::Pattern;

/// The static part of a session's role.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionRole {
    pub(super) pattern: Pattern,
    writes: bool,
    /// The maximum pause after an operation, or before a signal.
    pub(super) pause: Duration,
}

/// The part of a session, with its channel if it needs one.
#[derive(Debug)]
pub(super) enum Part {
    /// Reads in a loop.
    Reads,
    /// Writes, and reads immediately: no read can begin sooner after the acknowledgement.
    Writes,
    /// Writes a missing product, and signals its readers.
    Calls(watch::Sender<usize>),
    /// Reads the product of each signal.
    Waits(watch::Receiver<usize>),
}

const fn reads(pattern: Pattern, pause_ms: u64) -> SessionRole {
    SessionRole { pattern, writes: false, pause: Duration::from_millis(pause_ms) }
}

const fn writes(pattern: Pattern, pause_ms: u64) -> SessionRole {
    SessionRole { pattern, writes: true, pause: Duration::from_millis(pause_ms) }
}

/// Where nothing stale is allowed, readers do not pause.
const STRICT: [SessionRole; 11] = [
    reads(Pattern::Hot, 0),
    reads(Pattern::Hot, 0),
    reads(Pattern::Zipf, 0),
    reads(Pattern::Zipf, 0),
    reads(Pattern::Uniform, 0),
    reads(Pattern::Missing, 0),
    reads(Pattern::Missing, 0),
    writes(Pattern::Hot, 80),
    writes(Pattern::Zipf, 300),
    writes(Pattern::Uniform, 300),
    writes(Pattern::Missing, 100),
];

/// Where the staleness window is measured, fewer sessions suffice.
const BOUNDED: [SessionRole; 9] = [
    reads(Pattern::Hot, 20),
    reads(Pattern::Zipf, 20),
    reads(Pattern::Uniform, 20),
    reads(Pattern::Missing, 0),
    reads(Pattern::Missing, 0),
    writes(Pattern::Hot, 500),
    writes(Pattern::Zipf, 1_000),
    writes(Pattern::Uniform, 1_000),
    writes(Pattern::Missing, 2_000),
];

impl SessionRole {
    /// Returns the roles of a subject with this promise, each with its part.
    pub(super) fn all(promise: Promise) -> Vec<(Self, Part)> {
        let roles: &[Self] = if promise == Promise::Never { &STRICT } else { &BOUNDED };
        let (caller, called) = watch::channel(0);
        let part = |role: &Self| match (role.pattern, role.writes) {
            (Pattern::Missing, true) => Part::Calls(caller.clone()),
            (Pattern::Missing, false) => Part::Waits(called.clone()),
            (_, true) => Part::Writes,
            (_, false) => Part::Reads,
        };
        roles.iter().map(|role| (*role, part(role))).collect()
    }
}

impl Part {
    /// Returns whether the part needs a connection for writes.
    pub(super) fn writes(&self) -> bool {
        matches!(self, Self::Writes | Self::Calls(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_read_and_written_under_every_promise() {
        for promise in [Promise::Never, Promise::AtMost(Duration::from_secs(1))] {
            for pattern in [Pattern::Hot, Pattern::Zipf, Pattern::Uniform, Pattern::Missing] {
                let roles = SessionRole::all(promise);
                let has = |writes| roles.iter().any(|(role, part)| role.pattern == pattern && part.writes() == writes);
                assert!(has(true) && has(false), "{promise:?} {pattern:?}");
            }
        }
    }
}
