//! What the sessions of a subject do.
//!
//! Hot, Zipf and uniform have readers and a writer each, which go their own ways. The missing products have a writer that
//! calls and readers that wait for it, because a reader that goes its own way finds what another has filled:
//!
//! ```text
//! writer  write ── pause ── call ── write again ── read, where nothing stale may be seen
//! reader                     └──── read            the entry is gone since the first write: it fills
//! reader                     └──── read            so does this one, at the same time
//! ```
//!
//! In the pause, announced invalidations arrive. A cache that keeps an entry through a write of its product (write-through,
//! or one that goes by time) has hits all the same; the report says how many.

use std::time::Duration;

use tokio::sync::watch;

use super::map::Promise;
use super::workload::Pattern;

/// What a session does, as it is written down here.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionRole {
    pub(super) pattern: Pattern,
    writes: bool,
    /// The longest pause after an operation, or in a call.
    pub(super) pause: Duration,
}

/// What a session does, with what it takes.
#[derive(Debug)]
pub(super) enum Part {
    /// It reads, and reads again.
    Reads,
    /// It writes, and looks at once: no read could begin sooner after the acknowledgement.
    Writes,
    /// It writes a missing product, and calls its readers.
    Calls(watch::Sender<usize>),
    /// It reads what it is called to.
    Waits(watch::Receiver<usize>),
}

const fn reads(pattern: Pattern, pause_ms: u64) -> SessionRole {
    SessionRole { pattern, writes: false, pause: Duration::from_millis(pause_ms) }
}

const fn writes(pattern: Pattern, pause_ms: u64) -> SessionRole {
    SessionRole { pattern, writes: true, pause: Duration::from_millis(pause_ms) }
}

/// Where nothing stale may be seen, readers never rest.
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

/// Where the window is measured, it takes fewer.
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
    /// The roles of a subject with this promise, and the parts of those who play them.
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
    /// Whether it takes a connection to write.
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
