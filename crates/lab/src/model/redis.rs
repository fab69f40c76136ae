//! Redis, with one key and one tag: each function is one script, and so one step.

/// A version of the row.
pub(super) type Version = u8;

/// What Redis holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Redis {
    pub(super) entry: Entry,
    /// Whether the key is in the set of its tag, and in the set that is being drained.
    pub(super) tagged: bool,
    pub(super) draining: bool,
    /// The fence table; 0 stands for a field that is not there.
    pub(super) generation: u8,
    pub(super) clock: u8,
    pub(super) fence: u8,
    pub(super) floor: u8,
}

/// What the key holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    #[default]
    Nothing,
    /// A lease, and whose.
    Lease(u8),
    /// A value, its id and its version.
    Value(u8, Version),
}

/// What a load begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) id: u8,
    generation: u8,
    clock: u8,
}

/// The defences that can be taken out, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defence {
    /// A fill takes place only where the entry still holds the load's own lease.
    LeaseId,
    /// A lease that is gone is never treated as if it were still there.
    NoRenewal,
    /// A fill is refused when the fence table is another one.
    Generation,
    /// A fill is refused when its tag was invalidated after its load had begun.
    Fence,
    /// Where single fences are forgotten, a floor stands for them.
    Floor,
    /// The value and its registration in the tag set are one step.
    Registration,
    /// The invalidation of a key removes leases, too.
    KillsLeases,
    /// The invalidation comes after COMMIT.
    AfterCommit,
    /// What a crashed drain has left is drained by the next one.
    Leftovers,
    /// A reader that joined during a load takes its value only if the commit has vouched for it.
    JoinRule,
    /// A flight cannot be joined once its COMMIT is sent.
    ClosedBeforeCommit,
    /// Write-through takes the lease under the row lock, and stores under it.
    StolenLease,
    /// … and what it cannot store that way it does not compare by version, but removes.
    NoVersionCompare,
    /// The change and the note that it is to be announced are one transaction.
    Outbox,
    /// A Redis that was restarted is noticed, and emptied (ADR 10).
    Distrust,
    /// … and not believed before it is empty.
    EmptiedFirst,
}

impl Redis {
    pub(super) fn new() -> Self {
        Self { generation: 1, ..Self::default() }
    }

    /// `acquire.lua` and `steal.lua`: the lease, if nothing is there or it is taken by force.
    pub(super) fn acquire(&mut self, id: u8, by_force: bool) -> Option<Grant> {
        if self.entry != Entry::Nothing && !by_force {
            return None;
        }
        if self.generation == 0 {
            // A fresh one: no earlier load has it.
            self.generation = id + 100;
        }
        self.entry = Entry::Lease(id);
        Some(Grant { id, generation: self.generation, clock: self.clock })
    }

    /// `commit.lua`: whether the value was stored.
    pub(super) fn commit(&mut self, grant: Grant, id: u8, version: Version, without: Option<Defence>) -> bool {
        let held = match self.entry {
            Entry::Lease(lease) => lease == grant.id,
            Entry::Value(value, _) => value == grant.id,
            Entry::Nothing => without == Some(Defence::NoRenewal),
        };
        if !held && without != Some(Defence::LeaseId) {
            return false;
        }
        let refused = (self.generation != grant.generation && without != Some(Defence::Generation))
            || (self.floor > grant.clock && without != Some(Defence::Floor))
            || (self.fence > grant.clock && without != Some(Defence::Fence));
        if refused {
            if self.entry == Entry::Lease(grant.id) {
                self.entry = Entry::Nothing;
            }
            return false;
        }
        self.entry = Entry::Value(id, version);
        self.tagged |= without != Some(Defence::Registration);
        true
    }

    /// `UNLINK`.
    pub(super) fn remove(&mut self, without: Option<Defence>) {
        let spared = without == Some(Defence::KillsLeases) && matches!(self.entry, Entry::Lease(_));
        if !spared {
            self.entry = Entry::Nothing;
        }
    }

    /// A call of `invalidate_tag.lua`; returns how far the run is then. The first call fences, and `folds` when the fence
    /// table is full. It removes nothing yet, as if the set were so large that this member comes later.
    pub(super) fn invalidate_tag(&mut self, mut stage: Stage, folds: bool, without: Option<Defence>) -> Stage {
        let begins = stage == Stage::Begin;
        if begins {
            if self.generation == 0 {
                self.generation = 99;
            }
            self.clock += 1;
            (self.fence, self.floor) = if folds { (0, self.clock) } else { (self.clock, self.floor) };
            // As if the set that is being drained were always one's own.
            if without == Some(Defence::Leftovers) {
                self.draining = false;
            }
            stage = Stage::Queue;
        }
        if stage == Stage::Queue && !self.draining {
            self.draining = std::mem::take(&mut self.tagged);
            stage = Stage::Drain;
        }
        if !begins && std::mem::take(&mut self.draining) {
            self.entry = Entry::Nothing;
        }
        if stage == Stage::Drain && !self.draining { Stage::Done } else { stage }
    }
}

/// How far the invalidation of a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Begin,
    /// What another run has moved aside is drained first.
    Queue,
    Drain,
    Done,
}
