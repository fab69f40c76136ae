//! The configuration of a scenario, and the goals that some state of it must reach.

use super::defence::Defence;

/// How a writer invalidates or updates the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writes {
    Key,
    Tag,
    /// Stores the new value (write-through).
    Through,
    /// Marks the key as stale.
    SoftKey,
    /// Marks the entries with the tag as stale.
    SoftTag,
}

/// A promise of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// No stale read after an acknowledged invalidation.
    Reads,
    /// Nothing stays stale once no process has a step left.
    Rest,
}

/// The defences that are removed together, and the promise that this breaks.
pub(super) type Variant = (&'static [Defence], Promise);

/// A scenario: a small system that is made for one race.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    pub(super) name: &'static str,
    pub(super) writes: Writes,
    pub(super) readers: usize,
    pub(super) writers: usize,
    /// Whether writers guard what they outdate. Then no read that begins after COMMIT may be stale.
    pub(super) guards: bool,
    /// Whether Redis has a value of version 1 at the start.
    pub(super) filled: bool,
    /// Whether the readers belong to one process and share loads in flight.
    pub(super) joins: bool,
    /// Whether writers may crash after COMMIT.
    pub(super) crashes: bool,
    /// Whether the relay may crash while it invalidates.
    pub(super) relay_dies: bool,
    /// Whether a reader may crash while it holds the lease.
    pub(super) loader_dies: bool,
    /// Whether the entry (lease or value) may be evicted.
    pub(super) evictions: bool,
    /// Whether a value may become stale by its age.
    pub(super) ages: bool,
    /// Whether the fence table alone may be lost.
    pub(super) table_loss: bool,
    /// Whether all data may be lost together.
    pub(super) flushes: bool,
    /// Whether Redis may restart with an earlier snapshot of its data.
    pub(super) old_data: bool,
    /// Whether there is no room for single fences, so that they are folded into the floor.
    pub(super) folds: bool,
    /// How many of the faults of Redis may happen.
    pub(super) faults: u8,
    /// Whether nothing may be stale once no process has a step left: true where the relay repeats what a crashed writer
    /// did not do.
    pub(super) at_rest: bool,
    /// The goals that must be reached in some state, so that the promises are not kept only because nothing ever
    /// happens.
    pub(super) goals: &'static [Goal],
    /// The sets of defences without which a promise is broken.
    pub(super) needs: &'static [Variant],
}

pub(super) const PLAIN: Configuration = Configuration {
    name: "",
    writes: Writes::Key,
    readers: 3,
    writers: 2,
    guards: false,
    filled: false,
    joins: false,
    crashes: false,
    relay_dies: false,
    loader_dies: false,
    evictions: false,
    ages: false,
    table_loss: false,
    flushes: false,
    old_data: false,
    folds: false,
    faults: 1,
    at_rest: true,
    goals: &[],
    needs: &[],
};

impl Configuration {
    /// Returns the number of reading processes: readers that share loads belong to one process. Every other reader and
    /// every writer is a process of its own.
    pub(super) fn reading_processes(&self) -> usize {
        if self.joins { 1 } else { self.readers }
    }

    /// Returns the same race with as few readers as suffice.
    pub(super) fn quick(self) -> Self {
        match self {
            Self { joins: true, .. } | Self { guards: true, .. } => self,
            Self { old_data: true, .. } | Self { crashes: true, .. } => Self { readers: 1, filled: true, ..self },
            _ => Self { readers: self.readers.min(2), ..self },
        }
    }
}

/// An observation which shows that something happened and had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Hit,
    StoredNew,
    /// A COMMIT was refused because its lease, or the value that it refreshes, no longer exists.
    Lost,
    /// … before any write: only a fault can have removed it.
    LostToFault,
    Generation,
    Floor,
    Fenced,
    Guarded,
    /// A value was stored after a loader had crashed with its lease.
    StoredAfterDeath,
    JoinedBefore,
    /// A reader has taken the value of a load that had begun before the reader came, because the commit vouches for it.
    JoinedDuring,
    Published,
    NotPublished,
    Leftovers,
    /// The relay has removed an entry that a crashed writer did not invalidate.
    Relayed,
    /// … after the relay itself had crashed.
    RelayedAgain,
    /// A value of a restarted Redis was not trusted.
    Disbelieved,
    /// A reply over an unverified connection was not trusted.
    Unchecked,
    /// A stale value was served as such.
    Stale,
    Refreshed,
}
