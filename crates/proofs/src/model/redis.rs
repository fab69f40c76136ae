//! Redis with one key and one tag. Each function is one script, and so one step.

use super::defence::{Defence, Without};

pub(super) type Version = u8;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Redis {
    pub(super) entry: Entry,
    /// Whether the key is in the set of its tag, and whether it is in the set that is being drained.
    pub(super) tagged: bool,
    pub(super) draining: bool,
    /// The clock at the registration of the key, for the variant without [`Defence::NoScores`] that compares it.
    score: u8,
    /// The fence table; 0 stands for a missing field.
    pub(super) generation: u8,
    pub(super) clock: u8,
    pub(super) fence: u8,
    pub(super) floor: u8,
    /// The write guards that are in place, and those that have ended and were not removed; one bit for each writer.
    pub(super) guards: u8,
    pub(super) ended: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    #[default]
    Nothing,
    Lease(u8),
    Value {
        id: u8,
        version: Version,
        stale: bool,
    },
}

/// The data that a load receives at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) id: u8,
    generation: u8,
    clock: u8,
}

/// Why a fill was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Lost,
    Generation,
    Floor,
    Fenced,
    Guarded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TagStep {
    Begin,
    /// The set that another run has moved aside is drained first.
    Queue,
    Drain,
    Done,
}

impl Redis {
    pub(super) fn new() -> Self {
        Self { generation: 1, ..Self::default() }
    }

    /// Returns a Redis with a value of version 1.
    pub(super) fn filled() -> Self {
        Self { entry: Entry::Value { id: 0, version: 1, stale: false }, tagged: true, ..Self::new() }
    }

    /// Drops the fence table, and nothing else.
    pub(super) fn lose_fences(&mut self) {
        *self = Self {
            entry: self.entry,
            tagged: self.tagged,
            draining: self.draining,
            score: self.score,
            guards: self.guards,
            ended: self.ended,
            ..Self::default()
        };
    }

    /// `acquire.lua` and `take_over.lua`: takes the lease if the key is empty, or in any case with `by_force`.
    pub(super) fn acquire(&mut self, id: u8, by_force: bool) -> Option<Grant> {
        if self.entry != Entry::Nothing && !by_force {
            return None;
        }
        self.entry = Entry::Lease(id);
        Some(self.grant(id, id))
    }

    /// `refresh.lua`: grants the right to replace the value with that id.
    pub(super) fn refresh(&mut self, id: u8, fresh: u8) -> Option<Grant> {
        let same = matches!(self.entry, Entry::Value { id: other, .. } if other == id);
        same.then(|| self.grant(id, fresh))
    }

    fn grant(&mut self, id: u8, fresh: u8) -> Grant {
        if self.generation == 0 {
            // No earlier load has this generation.
            self.generation = fresh + 100;
        }
        Grant { id, generation: self.generation, clock: self.clock }
    }

    /// `commit.lua`.
    pub(super) fn commit(&mut self, grant: Grant, id: u8, version: Version, without: Without) -> Result<(), Refused> {
        let held = match self.entry {
            Entry::Lease(lease) => lease == grant.id,
            Entry::Value { id, .. } => id == grant.id,
            Entry::Nothing => without.lacks(Defence::NoRenewal),
        };
        if !held && !without.lacks(Defence::LeaseId) {
            return Err(Refused::Lost);
        }
        if std::mem::take(&mut self.ended) != 0 && !without.lacks(Defence::GuardFloor) {
            self.clock += 1;
            self.floor = self.clock;
        }
        let has_tags = version > 1 || !without.lacks(Defence::CollectionTags);
        let refused = if self.generation != grant.generation && !without.lacks(Defence::Generation) {
            Some(Refused::Generation)
        } else if self.floor > grant.clock && !without.lacks(Defence::Floor) {
            Some(Refused::Floor)
        } else if has_tags && self.fence > grant.clock && !without.lacks(Defence::Fence) {
            Some(Refused::Fenced)
        } else if self.guards != 0 && !without.lacks(Defence::GuardCheck) {
            Some(Refused::Guarded)
        } else {
            None
        };
        if let Some(refused) = refused {
            if self.entry == Entry::Lease(grant.id) {
                self.entry = Entry::Nothing;
            }
            return Err(refused);
        }
        self.entry = Entry::Value { id, version, stale: false };
        if has_tags && !without.lacks(Defence::OneStep) {
            self.register(without);
        }
        Ok(())
    }

    /// Registers the value under its tag: a part of `commit.lua`.
    pub(super) fn register(&mut self, without: Without) {
        self.tagged |= !without.lacks(Defence::Registration);
        if without.lacks(Defence::NoScores) {
            self.score = self.clock;
        }
    }

    /// `UNLINK`.
    pub(super) fn remove(&mut self, without: Without) {
        let spared = without.lacks(Defence::KillsLeases) && matches!(self.entry, Entry::Lease(_));
        if !spared {
            self.entry = Entry::Nothing;
        }
    }

    /// `expire.lua`: marks the value as stale, and removes a lease.
    pub(super) fn expire(&mut self, fresh: u8, without: Without) {
        match &mut self.entry {
            Entry::Value { id, stale, .. } => {
                *stale = true;
                if !without.lacks(Defence::FreshMark) {
                    *id = fresh;
                }
            }
            Entry::Lease(_) if !without.lacks(Defence::SoftKillsLeases) => self.entry = Entry::Nothing,
            Entry::Lease(_) | Entry::Nothing => {}
        }
    }

    /// One call of `invalidate_tag.lua`; returns the step after it. The first call raises the fence, and `folds` it
    /// into the floor when the fence table is full. It removes nothing yet, as if the set were so large that this
    /// member comes later.
    pub(super) fn invalidate_tag(&mut self, mut step: TagStep, folds: bool, without: Without) -> TagStep {
        let begins = step == TagStep::Begin;
        if begins {
            self.raise_fence(folds);
            // Without this defence, the run treats the set being drained as its own.
            if without.lacks(Defence::Leftovers) {
                self.draining = false;
            }
            step = TagStep::Queue;
        }
        if step == TagStep::Queue && !self.draining {
            self.draining = std::mem::take(&mut self.tagged);
            step = TagStep::Drain;
        }
        if !begins && std::mem::take(&mut self.draining) {
            let spared = without.lacks(Defence::NoScores) && self.score >= self.fence;
            if !spared {
                self.entry = Entry::Nothing;
            }
        }
        if step == TagStep::Drain && !self.draining { TagStep::Done } else { step }
    }

    /// One step of the soft invalidation of a tag: `fence_tags.lua`, then `expire.lua` on the tag set and on the set
    /// being drained, in that order.
    pub(super) fn expire_tag(&mut self, step: TagStep, fresh: u8, without: Without) -> TagStep {
        match step {
            TagStep::Begin => {
                if !without.lacks(Defence::SoftFence) {
                    self.raise_fence(false);
                }
                TagStep::Queue
            }
            TagStep::Queue => {
                if self.tagged {
                    self.expire(fresh, without);
                }
                TagStep::Drain
            }
            TagStep::Drain | TagStep::Done => {
                if self.draining {
                    self.expire(fresh, without);
                }
                TagStep::Done
            }
        }
    }

    fn raise_fence(&mut self, folds: bool) {
        if self.generation == 0 {
            self.generation = 99;
        }
        self.clock += 1;
        (self.fence, self.floor) = if folds { (0, self.clock) } else { (self.clock, self.floor) };
    }
}
