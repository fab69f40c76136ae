//! What a small world is made of.

use super::defence::Defence;
use super::state::Goal;

/// How a write reaches the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writes {
    /// It removes the key.
    Key,
    /// It invalidates the tag.
    Tag,
    /// It stores the new value.
    Through,
    /// It marks the key as stale.
    SoftKey,
    /// It marks what carries the tag as stale.
    SoftTag,
}

/// A promise of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// No stale read after an acknowledged invalidation.
    Reads,
    /// Nothing stays stale when all is at rest.
    Rest,
}

/// What is taken out together, and the promise that this breaks.
pub(super) type Variant = (&'static [Defence], Promise);

/// A small world.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    pub(super) name: &'static str,
    pub(super) writes: Writes,
    pub(super) readers: usize,
    pub(super) writers: usize,
    /// Whether a value of version 1 lies there from the start.
    pub(super) filled: bool,
    /// Whether readers are of one process and share flights.
    pub(super) joins: bool,
    /// Whether writers may die after COMMIT.
    pub(super) crashes: bool,
    /// Whether the relay may die while it invalidates.
    pub(super) relay_dies: bool,
    /// Whether a reader may die while it has the lease.
    pub(super) loader_dies: bool,
    /// Whether the entry, lease or value, may vanish.
    pub(super) evictions: bool,
    /// Whether a value may become stale by its age.
    pub(super) ages: bool,
    /// Whether the fence table alone may vanish.
    pub(super) table_loss: bool,
    /// Whether everything may vanish together.
    pub(super) flushes: bool,
    /// Whether Redis may come back as it was some time ago.
    pub(super) old_data: bool,
    /// Whether there is no room for single fences.
    pub(super) folds: bool,
    /// How many of the faults of Redis may happen.
    pub(super) faults: u8,
    /// Whether nothing may be stale when all is at rest: where somebody repeats what a dead writer left.
    pub(super) at_rest: bool,
    /// What must come true somewhere, so that the promises are not kept by nothing ever happening.
    pub(super) sights: &'static [Goal],
    /// What breaks it when it is taken out.
    pub(super) needs: &'static [Variant],
}

pub(super) const PLAIN: Configuration = Configuration {
    name: "",
    writes: Writes::Key,
    readers: 3,
    writers: 2,
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
    sights: &[],
    needs: &[],
};

impl Configuration {
    /// Readers that share flights are of one process; everybody else is a process of their own.
    pub(super) fn reading_processes(&self) -> usize {
        if self.joins { 1 } else { self.readers }
    }

    /// The same race among as few as will do.
    pub(super) fn quick(self) -> Self {
        match self {
            Self { joins: true, .. } => self,
            Self { old_data: true, .. } | Self { crashes: true, .. } => Self { readers: 1, filled: true, ..self },
            _ => Self { readers: self.readers.min(2), ..self },
        }
    }
}
