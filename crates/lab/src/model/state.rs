//! Everything there is in a world at one moment.

use super::configuration::Configuration;
use super::redis::{Entry, Grant, Redis, Stage, Version};

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) redis: Redis,
    /// The committed version of the row, and the highest whose invalidation was acknowledged.
    pub(super) committed: Version,
    pub(super) acknowledged: Version,
    /// How many rows there are in the outbox that are not ticked off.
    pub(super) outbox: u8,
    pub(super) relay: Option<Relay>,
    pub(super) relay_died: bool,
    /// Whose transaction holds the row.
    pub(super) row_lock: Option<usize>,
    pub(super) readers: Vec<Reader>,
    pub(super) writers: Vec<Writer>,
    /// The flight that can be joined: whose it is, and its phase.
    pub(super) flight: Option<(usize, u8)>,
    pub(super) snapshot: Option<Redis>,
    /// How far each process believes Redis: those of the readers, then those of the writers.
    pub(super) belief: Vec<Trust>,
    pub(super) next_id: u8,
    pub(super) faults_left: u8,
    /// Whether a reader has got an old value as a fresh one.
    pub(super) stale: bool,
    /// What has been seen on the way here, of what the world wants to see.
    pub(super) seen: u32,
}

/// What the relay is at: how far it is, and how many rows of the outbox it has taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) stage: Stage,
    pub(super) rows: u8,
}

/// What shows that something happened, and mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Hit,
    StoredNew,
    /// A COMMIT that was sent was refused because its lease, or the value that it refreshes, is not there any more.
    Lost,
    /// … before anything was written: only a fault can have taken it.
    LostToFault,
    Generation,
    Floor,
    Fenced,
    /// A value was stored after a loader had died with its lease.
    StoredAfterDeath,
    JoinedBefore,
    /// A reader has taken the value of a load that had begun before it came, because the commit vouches for it.
    JoinedDuring,
    Published,
    NotPublished,
    Leftovers,
    /// The relay has removed what a dead writer left.
    Relayed,
    /// … after the relay had died itself.
    RelayedAgain,
    /// A value of a Redis that had been restarted was not believed.
    Disbelieved,
    /// An answer over a connection that nobody had checked was not believed.
    Unchecked,
    /// A stale value was served as such.
    Stale,
    Refreshed,
}

/// What a process thinks of Redis, when that was restarted (ADR 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    Full,
    /// It has not noticed yet. Its commands go out over a connection that the library has made anew.
    Unaware,
    /// Its breaker is open: it sends nothing.
    Away,
    /// It has seen that this is another Redis, and does not believe what it finds there.
    None,
    /// It has dropped the fence table, and not yet the entries.
    Emptying,
}

/// A read of the one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    Ready,
    /// Its GET is sent; it began when this much was acknowledged.
    Asked {
        floor: Version,
    },
    /// It has found nothing.
    Missed {
        floor: Version,
    },
    /// It has been served this stale value, and goes on to refresh it.
    Served {
        id: u8,
    },
    /// It has the right to load.
    Granted {
        floor: Version,
        grant: Grant,
    },
    Loaded {
        floor: Version,
        grant: Grant,
        version: Version,
    },
    /// Its COMMIT is done; the reply is on its way.
    Committed {
        floor: Version,
        version: Version,
        stored: bool,
    },
    /// It waits for another's flight, which was in this phase when it joined.
    Joined {
        floor: Version,
        of: usize,
        phase: u8,
    },
    /// Its flight has landed: with this version, read in this phase.
    Landed {
        version: Version,
        stored: bool,
    },
    Done,
    Dead,
}

/// A write of the one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writer {
    Ready,
    /// It has invalidated before COMMIT, as one should not.
    TooEarly,
    /// It holds the row, and perhaps the lease.
    Locked {
        grant: Option<Grant>,
    },
    /// Its version is committed.
    Committed {
        version: Version,
        grant: Option<Grant>,
    },
    /// It invalidates the tag.
    Draining {
        version: Version,
        stage: Stage,
    },
    /// It could not store, and is about to remove.
    Refused {
        version: Version,
    },
    Done,
    Dead,
}

impl State {
    pub(super) fn of(world: &Configuration) -> Self {
        Self {
            redis: if world.filled { Redis::filled() } else { Redis::new() },
            committed: 1,
            acknowledged: 1,
            outbox: 0,
            relay: None,
            relay_died: false,
            row_lock: None,
            readers: vec![Reader::Ready; world.readers],
            writers: vec![Writer::Ready; world.writers],
            flight: None,
            snapshot: None,
            belief: vec![Trust::Full; world.reading_processes() + world.writers],
            next_id: 1,
            faults_left: world.faults,
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

    /// Whether what lies in Redis shows the row as it is, or is marked as stale.
    pub(super) fn is_up_to_date(&self) -> bool {
        match self.redis.entry {
            Entry::Value { version, stale, .. } => stale || version == self.committed,
            Entry::Nothing | Entry::Lease(_) => true,
        }
    }

    pub(super) fn has_seen(&self, sight: Goal) -> bool {
        self.seen & (1 << sight as u32) != 0
    }
}
