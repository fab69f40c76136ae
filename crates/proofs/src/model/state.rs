//! The state of a scenario.

use super::configuration::{Configuration, Goal};
use super::redis::{Entry, Grant, Redis, TagStep, Version};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) redis: Redis,
    /// The committed version of the row, and the highest version whose invalidation was acknowledged.
    pub(super) committed: Version,
    pub(super) acknowledged: Version,
    /// The number of outbox rows that are not done.
    pub(super) outbox: u8,
    pub(super) relay: Option<Relay>,
    pub(super) relay_died: bool,
    /// The writer whose transaction holds the row lock.
    pub(super) row_lock: Option<usize>,
    pub(super) readers: Vec<Reader>,
    pub(super) writers: Vec<Writer>,
    /// The load that readers can join: its reader and its phase.
    pub(super) flight: Option<(usize, u8)>,
    pub(super) snapshot: Option<Redis>,
    /// The trust of each process in Redis: first of the reading processes, then of the writers.
    pub(super) belief: Vec<Trust>,
    pub(super) next_id: u8,
    pub(super) faults_left: u8,
    /// Whether a reader has taken an outdated value as fresh.
    pub(super) stale: bool,
    /// The goals of the scenario that the path to this state has reached: one bit for each goal.
    pub(super) seen: u32,
}

/// The progress of the relay: its step, and the number of outbox rows that it processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) step: TagStep,
    pub(super) rows: u8,
}

/// The trust of a process in a Redis that was restarted (ADR 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    Full,
    /// The process has not detected the restart yet. Its commands use a connection that the client has reopened.
    Unaware,
    /// The circuit breaker is open: the process sends nothing.
    Away,
    /// The process has detected that this is another Redis, and does not trust its entries.
    None,
    /// The process has dropped the fence table, but not the entries yet.
    Emptying,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    Ready,
    /// The GET is sent; the read began when this version was acknowledged.
    Asked {
        floor: Version,
    },
    /// The key was empty.
    Missed {
        floor: Version,
    },
    /// The reader has been served this stale value, and is about to refresh it.
    Served {
        id: u8,
    },
    /// The reader has the right to load.
    Granted {
        floor: Version,
        grant: Grant,
    },
    Loaded {
        floor: Version,
        grant: Grant,
        version: Version,
    },
    /// Redis has executed the commit of the load (`commit.lua`); the reply has not arrived yet.
    Committed {
        floor: Version,
        version: Version,
        stored: bool,
    },
    /// The reader waits for the load of another reader, which was in this phase when it joined.
    Joined {
        floor: Version,
        of: usize,
        phase: u8,
    },
    /// The load is complete. `stored` tells whether the commit proves that the value is current.
    Landed {
        version: Version,
        stored: bool,
    },
    Done,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writer {
    Ready,
    /// The writer has invalidated before COMMIT, which is wrong.
    TooEarly,
    /// The writer holds the row lock, and perhaps the lease.
    Locked {
        grant: Option<Grant>,
    },
    /// The writer holds the row lock, places its guard and removes the entries. The value is the next step.
    Guarding(Option<TagStep>),
    /// The guard is in place, and the writer is about to commit.
    Guarded,
    Committed {
        version: Version,
        grant: Option<Grant>,
    },
    /// The writer has invalidated, and is about to release its guard.
    Releasing {
        version: Version,
    },
    /// The writer invalidates the tag.
    Draining {
        version: Version,
        step: TagStep,
    },
    /// Redis refused to store the writer's value; the writer is about to remove the entry.
    Refused {
        version: Version,
    },
    Done,
    Dead,
}

impl State {
    pub(super) fn of(scenario: &Configuration) -> Self {
        Self {
            redis: if scenario.filled { Redis::filled() } else { Redis::new() },
            committed: 1,
            acknowledged: 1,
            outbox: 0,
            relay: None,
            relay_died: false,
            row_lock: None,
            readers: vec![Reader::Ready; scenario.readers],
            writers: vec![Writer::Ready; scenario.writers],
            flight: None,
            snapshot: None,
            belief: vec![Trust::Full; scenario.reading_processes() + scenario.writers],
            next_id: 1,
            faults_left: scenario.faults,
            stale: false,
            seen: 0,
        }
    }

    pub(super) fn fresh_id(&mut self) -> u8 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let read = self
            .readers
            .iter()
            .all(|reader| matches!(reader, Reader::Done | Reader::Landed { .. } | Reader::Ready | Reader::Dead));
        let written = self.writers.iter().all(|writer| matches!(writer, Writer::Done | Writer::Dead));
        let believed = self.belief.iter().all(|belief| *belief == Trust::Full);
        read && written && believed && self.outbox == 0 && self.relay.is_none()
    }

    /// Returns whether the value in Redis shows the current row, or is marked as stale.
    pub(super) fn is_up_to_date(&self) -> bool {
        match self.redis.entry {
            Entry::Value { version, stale, .. } => stale || version == self.committed,
            Entry::Nothing | Entry::Lease(_) => true,
        }
    }

    pub(super) fn has_seen(&self, goal: Goal) -> bool {
        self.seen & (1 << goal as u32) != 0
    }
}
