//! The steps of a reader.

use super::configuration::Goal;
use super::defence::Defence;
use super::redis::{Entry, Grant, Refused, Version};
use super::state::{Reader, State, Trust};
use super::system::Protocol;

impl Protocol {
    pub(super) fn read(&self, state: &mut State, at: usize) {
        let away = state.belief[self.process(at)] == Trust::Away;
        state.readers[at] = match state.readers[at] {
            // Redis is unavailable: the reader loads from the database and does not use the cache.
            Reader::Ready | Reader::Asked { .. } | Reader::Missed { .. } if away => self.lands_alone(state, at),
            Reader::Ready => {
                let floor = if self.scenario.guards { state.committed } else { state.acknowledged };
                // The GET and its reply are separate steps only if Redis may be replaced in between.
                if self.scenario.old_data { Reader::Asked { floor } } else { self.look(state, at, floor) }
            }
            Reader::Asked { floor } => self.look(state, at, floor),
            Reader::Missed { floor } => self.ask_for_lease(state, at, floor),
            Reader::Served { id } => {
                let fresh = state.fresh_id();
                match state.redis.refresh(id, fresh) {
                    // The reader has been served with the stale value already, so no floor applies to the refresh.
                    Some(grant) => Reader::Granted { floor: 0, grant },
                    None => Reader::Done,
                }
            }
            Reader::Granted { floor, grant } => Reader::Loaded { floor, grant, version: state.committed },
            Reader::Loaded { floor, grant, version } => {
                if !self.without.lacks(Defence::ClosedBeforeCommit) {
                    self.close(state, at);
                }
                let stored = !away && self.commit(state, at, grant, version);
                Reader::Committed { floor, version, stored }
            }
            Reader::Committed { floor, version, stored } => {
                if self.without.lacks(Defence::OneStep) && stored {
                    state.redis.register(self.without);
                }
                self.close(state, at);
                state.stale |= version < floor;
                Reader::Landed { version, stored }
            }
            Reader::Joined { floor, of, phase } => match state.readers[of] {
                Reader::Landed { version, stored } => {
                    // The load is phase 2. A reader that joined before it takes the value; one that joined during it
                    // takes the value only if the commit vouches for it.
                    if phase < 2 {
                        self.see(state, Goal::JoinedBefore);
                        self.takes(state, version, floor)
                    } else if stored || self.without.lacks(Defence::JoinRule) {
                        self.see(state, Goal::JoinedDuring);
                        self.takes(state, version, floor)
                    } else {
                        Reader::Done
                    }
                }
                _ => Reader::Done,
            },
            over @ (Reader::Landed { .. } | Reader::Done | Reader::Dead) => over,
        };
    }

    /// Handles the reply to the GET.
    fn look(&self, state: &mut State, at: usize, floor: Version) -> Reader {
        if self.is_unchecked(state, self.process(at)) {
            return Reader::Done;
        }
        if !self.believes(state, at) && matches!(state.redis.entry, Entry::Value { .. }) {
            self.see(state, Goal::Disbelieved);
            return Reader::Done;
        }
        match (state.redis.entry, state.flight) {
            (Entry::Value { id, stale: true, .. }, _) => {
                self.see(state, Goal::Stale);
                Reader::Served { id }
            }
            (Entry::Value { version, .. }, _) => {
                self.see(state, Goal::Hit);
                self.takes(state, version, floor)
            }
            (_, Some((of, phase))) if self.scenario.joins => Reader::Joined { floor, of, phase },
            // Another reader holds the lease: this reader loads from the database and stores nothing.
            (Entry::Lease(_), _) => Reader::Done,
            (Entry::Nothing, _) => {
                state.flight = self.scenario.joins.then_some((at, 1)).or(state.flight);
                Reader::Missed { floor }
            }
        }
    }

    fn ask_for_lease(&self, state: &mut State, at: usize, floor: Version) -> Reader {
        let id = state.fresh_id();
        let (granted, found) = (state.redis.acquire(id, false), state.redis.entry);
        let unchecked = self.is_unchecked(state, self.process(at));
        match (granted, found) {
            (Some(grant), _) if !unchecked => {
                state.flight = state.flight.map(|(of, phase)| (of, if of == at { 2 } else { phase }));
                Reader::Granted { floor, grant }
            }
            (None, Entry::Value { version, .. }) if !unchecked && self.believes(state, at) => {
                self.close(state, at);
                self.takes(state, version, floor)
            }
            _ => self.lands_alone(state, at),
        }
    }

    /// Sends COMMIT. Returns whether the reply says that the value is stored, and vouches for it.
    fn commit(&self, state: &mut State, at: usize, grant: Grant, version: Version) -> bool {
        let id = state.fresh_id();
        let replaces = matches!(state.redis.entry, Entry::Value { .. });
        let committed = match self.without.lacks(Defence::NoVersionCompare) {
            true if self.store_unless_newer(state, version) => Ok(()),
            true => Err(Refused::Lost),
            false => state.redis.commit(grant, id, version, self.without),
        };
        match committed {
            Ok(()) => {
                if version > 1 {
                    self.see(state, Goal::StoredNew);
                }
                if replaces {
                    self.see(state, Goal::Refreshed);
                }
                if state.readers.contains(&Reader::Dead) {
                    self.see(state, Goal::StoredAfterDeath);
                }
            }
            Err(Refused::Lost) => {
                let only_by_fault = state.committed == 1 && state.faults_left < self.scenario.faults;
                self.see(state, if only_by_fault { Goal::LostToFault } else { Goal::Lost });
            }
            Err(Refused::Generation) => self.see(state, Goal::Generation),
            Err(Refused::Floor) => self.see(state, Goal::Floor),
            Err(Refused::Fenced) => self.see(state, Goal::Fenced),
            Err(Refused::Guarded) => self.see(state, Goal::Guarded),
        }
        let quiet = matches!(state.belief[self.process(at)], Trust::Full | Trust::Unaware)
            || self.without.lacks(Defence::QuietCommit);
        committed.is_ok() && quiet && !self.is_unchecked(state, self.process(at))
    }

    /// Returns whether the current reply to a process comes over a connection that it has not verified, and is not
    /// trusted.
    pub(super) fn is_unchecked(&self, state: &mut State, process: usize) -> bool {
        let unchecked = state.belief[process] == Trust::Unaware && !self.without.lacks(Defence::CheckedConnection);
        if unchecked {
            self.see(state, Goal::Unchecked);
        }
        unchecked
    }

    fn believes(&self, state: &State, at: usize) -> bool {
        matches!(state.belief[self.process(at)], Trust::Full | Trust::Unaware)
            || self.without.lacks(Defence::EmptiedFirst)
    }

    fn process(&self, reader: usize) -> usize {
        if self.scenario.joins { 0 } else { reader }
    }

    /// The reader returns the value of its own load, and no other reader can join it.
    fn lands_alone(&self, state: &mut State, at: usize) -> Reader {
        self.close(state, at);
        Reader::Done
    }

    fn close(&self, state: &mut State, at: usize) {
        state.flight = state.flight.filter(|(of, _)| *of != at);
    }

    /// A reader that began at `floor` takes this version as fresh.
    fn takes(&self, state: &mut State, version: Version, floor: Version) -> Reader {
        state.stale |= version < floor;
        Reader::Done
    }

    pub(super) fn store_unless_newer(&self, state: &mut State, version: Version) -> bool {
        let newer = matches!(state.redis.entry, Entry::Value { version: other, .. } if other >= version);
        if !newer {
            state.redis.entry = Entry::Value { id: 0, version, stale: false };
        }
        !newer
    }
}
