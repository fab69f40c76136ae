//! Small worlds, each made for one race; and which defences it takes there.

use super::redis::Defence;

/// How a write reaches the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writes {
    /// It removes the key.
    Key,
    /// It invalidates the tag.
    Tag,
    /// It stores the new value.
    Through,
}

/// A small world.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    pub(super) name: &'static str,
    pub(super) writes: Writes,
    pub(super) readers: usize,
    pub(super) writers: usize,
    /// Whether readers are of one process and share flights.
    pub(super) joins: bool,
    /// Whether writers may die after COMMIT.
    pub(super) crashes: bool,
    /// Whether the entry, lease or value, may vanish.
    pub(super) evictions: bool,
    /// Whether the fence table alone may vanish.
    pub(super) table_loss: bool,
    /// Whether everything may vanish together.
    pub(super) flushes: bool,
    /// Whether Redis may come back as it was some time ago.
    pub(super) old_data: bool,
    /// Whether there is no room for single fences.
    pub(super) folds: bool,
    /// How many of these may happen.
    pub(super) faults: u8,
    /// Whether nothing may be stale when all is at rest: where somebody repeats what a dead writer left.
    pub(super) at_rest: bool,
    /// Whether fills are refused on the way.
    pub(super) refuses: bool,
    /// What breaks it when it is taken out.
    pub(super) needs: &'static [Defence],
}

const PLAIN: Configuration = Configuration {
    name: "",
    writes: Writes::Key,
    readers: 3,
    writers: 2,
    joins: false,
    crashes: false,
    evictions: false,
    table_loss: false,
    flushes: false,
    old_data: false,
    folds: false,
    faults: 1,
    at_rest: true,
    refuses: true,
    needs: &[],
};

/// All of them.
pub(super) fn all() -> Vec<Configuration> {
    use Defence::{
        AfterCommit, ClosedBeforeCommit, Distrust, EmptiedFirst, Fence, Floor, Generation, JoinRule, KillsLeases,
        LeaseId, Leftovers, NoRenewal, NoVersionCompare, Outbox, Registration, StolenLease,
    };
    vec![
        Configuration {
            name: "a key is invalidated",
            evictions: true,
            needs: &[LeaseId, NoRenewal, KillsLeases, AfterCommit],
            ..PLAIN
        },
        Configuration { name: "a tag is invalidated", writes: Writes::Tag, needs: &[Fence, Registration], ..PLAIN },
        Configuration {
            name: "the fence table is lost",
            writes: Writes::Tag,
            table_loss: true,
            needs: &[Generation],
            ..PLAIN
        },
        Configuration { name: "fences are folded", writes: Writes::Tag, folds: true, needs: &[Floor], ..PLAIN },
        Configuration { name: "everything is lost", writes: Writes::Tag, flushes: true, ..PLAIN },
        Configuration {
            name: "a drain is cut short",
            writes: Writes::Tag,
            crashes: true,
            needs: &[Leftovers, Outbox],
            ..PLAIN
        },
        Configuration { name: "a writer dies after COMMIT", crashes: true, needs: &[Outbox], ..PLAIN },
        Configuration {
            name: "readers share a load",
            writers: 1,
            joins: true,
            needs: &[JoinRule, ClosedBeforeCommit],
            ..PLAIN
        },
        Configuration {
            name: "values are written through",
            writes: Writes::Through,
            evictions: true,
            needs: &[StolenLease, NoVersionCompare],
            ..PLAIN
        },
        Configuration {
            name: "Redis comes back with older data",
            readers: 2,
            writers: 1,
            old_data: true,
            needs: &[Distrust, EmptiedFirst],
            ..PLAIN
        },
    ]
}
