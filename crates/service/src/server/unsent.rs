//! The memory of responses that clients have not read yet, over all connections of a server.
//!
//! A response stays in memory until its client has read it. So clients that read slowly could fill the memory with a few
//! large responses. Above [`MAX_UNSENT`], a connection whose client accepts nothing for [`LOOK`] is closed, unless it waits
//! with little.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The bytes of all connections above which some are closed: 64 MiB.
const MAX_UNSENT: usize = 64 << 20;
/// The bytes with which a connection is never closed: 16 KiB.
const LITTLE: usize = 16 << 10;
/// How often a connection that waits for its client is examined.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// The unsent bytes of all connections. Cheap to clone: every clone is the same number.
#[derive(Clone, Debug, Default)]
pub(super) struct UnsentBytes(Arc<AtomicUsize>);

/// The part of one connection.
#[derive(Debug)]
pub(super) struct UnsentShare {
    all: UnsentBytes,
    own: usize,
}

impl UnsentBytes {
    pub(super) fn share(&self) -> UnsentShare {
        UnsentShare { all: self.clone(), own: 0 }
    }
}

impl UnsentShare {
    /// Records how much this connection still has to send. Its buffer keeps its size until everything is sent.
    pub(super) fn set(&mut self, rest: usize) {
        let own = if rest == 0 { 0 } else { self.own.max(rest) };
        if own == self.own {
            return;
        }
        self.all.0.fetch_add(own, Relaxed);
        self.all.0.fetch_sub(self.own, Relaxed);
        self.own = own;
    }

    /// Returns whether the connections wait with too much, and this one with a part of it.
    pub(super) fn is_too_much(&self) -> bool {
        self.own > LITTLE && self.all.0.load(Relaxed) > MAX_UNSENT
    }
}

impl Drop for UnsentShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_closed_only_if_all_have_too_much_and_it_has_a_part_of_it() {
        let all = UnsentBytes::default();
        let (mut large, mut small) = (all.share(), all.share());
        large.set(MAX_UNSENT);
        assert!(!large.is_too_much());
        small.set(LITTLE);
        assert!(large.is_too_much() && !small.is_too_much());
        large.set(1);
        assert!(large.is_too_much(), "its buffer is as large as before");
        large.set(0);
        assert!(!large.is_too_much());
        drop(large);
        small.set(LITTLE + 1);
        assert!(!small.is_too_much(), "the other one is closed");
        drop(small);
        assert_eq!(all.0.load(Relaxed), 0);
    }
}
