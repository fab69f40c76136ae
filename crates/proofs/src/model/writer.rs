//! The steps of a writer, and of the relay, which repeats the invalidations that a crashed writer may not have made.

use super::configuration::{Goal, Writes};
use super::defence::Defence;
use super::redis::{Entry, Grant, TagStep, Version};
use super::state::{Relay, State, Trust, Writer};
use super::system::Protocol;

impl Protocol {
    pub(super) fn write(&self, state: &mut State, at: usize) {
        let without = self.without;
        let process = self.scenario.reading_processes() + at;
        state.writers[at] = match state.writers[at] {
            Writer::Ready if without.lacks(Defence::AfterCommit) => {
                state.redis.remove(without);
                Writer::TooEarly
            }
            Writer::Ready | Writer::TooEarly => {
                state.row_lock = Some(at);
                let takes_over = self.scenario.writes == Writes::Through
                    && !without.lacks(Defence::LeaseTakeover)
                    && !without.lacks(Defence::NoVersionCompare);
                let id = state.fresh_id();
                Writer::Locked { grant: takes_over.then(|| state.redis.acquire(id, true)).flatten() }
            }
            Writer::Locked { .. } if self.scenario.guards => {
                if !without.lacks(Defence::GuardFirst) {
                    state.redis.guards |= 1 << at;
                }
                Writer::Guarding(None)
            }
            Writer::Guarding(step) => self.guard(state, at, step),
            Writer::Locked { grant: None } | Writer::Guarded => self.commit_row(state, None),
            Writer::Locked { grant } => self.commit_row(state, grant),
            Writer::Releasing { version } => {
                let own = if without.lacks(Defence::OwnGuard) { u8::MAX } else { 1 << at };
                state.redis.guards &= !own;
                state.redis.ended &= !own;
                state.acknowledged = state.acknowledged.max(version);
                Writer::Done
            }
            // The write is not acknowledged. Its invalidation is made up for when the process empties Redis.
            Writer::Committed { .. } if state.belief[process] == Trust::Away => Writer::Done,
            Writer::Committed { version, .. } => {
                let next = self.invalidate(state, at, version);
                // The invalidation is done, but perhaps by an unverified Redis, so the write is not acknowledged.
                if self.is_unchecked(state, process) { Writer::Done } else { self.settled(state, next) }
            }
            Writer::Draining { version, step } => {
                let step = self.next_step(state, step);
                self.settled(state, Writer::Draining { version, step })
            }
            Writer::Refused { version } => {
                state.redis.remove(without);
                self.settled(state, Writer::Draining { version, step: TagStep::Done })
            }
            over @ (Writer::Done | Writer::Dead) => over,
        };
    }

    fn commit_row(&self, state: &mut State, grant: Option<Grant>) -> Writer {
        state.row_lock = None;
        state.committed += 1;
        state.outbox += u8::from(self.scenario.crashes && !self.without.lacks(Defence::Outbox));
        Writer::Committed { version: state.committed, grant }
    }

    /// One step of the removal before COMMIT.
    fn guard(&self, state: &mut State, at: usize, step: Option<TagStep>) -> Writer {
        let next = match self.scenario.writes {
            _ if self.without.lacks(Defence::RemovalBeforeCommit) || step == Some(TagStep::Done) => TagStep::Done,
            Writes::Tag => self.next_step(state, step.unwrap_or(TagStep::Begin)),
            _ => {
                state.redis.remove(self.without);
                TagStep::Done
            }
        };
        match next {
            // Without this defence, the guard is placed in a later step than the removal.
            TagStep::Done if self.without.lacks(Defence::GuardFirst) && step != Some(TagStep::Done) => {
                Writer::Guarding(Some(TagStep::Done))
            }
            TagStep::Done => {
                state.redis.guards |= 1 << at;
                Writer::Guarded
            }
            next => Writer::Guarding(Some(next)),
        }
    }

    /// The first step of an invalidation after COMMIT.
    fn invalidate(&self, state: &mut State, at: usize, version: Version) -> Writer {
        let done = Writer::Draining { version, step: TagStep::Done };
        if self.without.lacks(Defence::RemovalAfterCommit) {
            return done;
        }
        match self.scenario.writes {
            Writes::Key => {
                if !self.without.lacks(Defence::AfterCommit) {
                    state.redis.remove(self.without);
                }
                done
            }
            Writes::SoftKey => {
                let fresh = state.fresh_id();
                state.redis.expire(fresh, self.without);
                done
            }
            Writes::Tag | Writes::SoftTag => Writer::Draining { version, step: self.next_step(state, TagStep::Begin) },
            Writes::Through => match self.publish(state, at, version) {
                true => done,
                false => Writer::Refused { version },
            },
        }
    }

    fn publish(&self, state: &mut State, at: usize, version: Version) -> bool {
        let id = state.fresh_id();
        let grant = match state.writers[at] {
            Writer::Committed { grant, .. } => grant,
            _ => None,
        };
        let stored = match grant {
            Some(grant) => state.redis.commit(grant, id, version, self.without).is_ok(),
            None if self.without.lacks(Defence::NoVersionCompare) => {
                self.store_unless_newer(state, version);
                true
            }
            // Without a lease of its own, the writer overwrites the key, with any content.
            None => {
                state.redis.entry = Entry::Value { id, version, stale: false };
                true
            }
        };
        self.see(state, if stored { Goal::Published } else { Goal::NotPublished });
        stored
    }

    /// One step of the invalidation of the tag, hard or soft according to the scenario.
    fn next_step(&self, state: &mut State, step: TagStep) -> TagStep {
        if self.scenario.writes == Writes::SoftTag {
            let fresh = state.fresh_id();
            return state.redis.expire_tag(step, fresh, self.without);
        }
        if step == TagStep::Begin && state.redis.draining {
            self.see(state, Goal::Leftovers);
        }
        state.redis.invalidate_tag(step, self.scenario.folds, self.without)
    }

    fn settled(&self, state: &mut State, next: Writer) -> Writer {
        match next {
            Writer::Draining { version, step: TagStep::Done } if self.scenario.guards => Writer::Releasing { version },
            Writer::Draining { version, step: TagStep::Done } => {
                state.acknowledged = state.acknowledged.max(version);
                Writer::Done
            }
            next => next,
        }
    }

    /// Invalidates the tag, for every kind of write: every entry carries the tags of the rows that it shows.
    pub(super) fn relay(&self, state: &mut State) {
        let Relay { step, rows } = state.relay.unwrap_or(Relay { step: TagStep::Begin, rows: state.outbox });
        if step == TagStep::Begin && self.without.lacks(Defence::DoneAfterwards) {
            state.outbox -= rows;
        }
        let outdated = matches!(state.redis.entry, Entry::Value { .. }) && !state.is_up_to_date();
        let step = self.next_step(state, step);
        if outdated && state.redis.entry == Entry::Nothing {
            self.see(state, if state.relay_died { Goal::RelayedAgain } else { Goal::Relayed });
        }
        state.relay = (step != TagStep::Done).then_some(Relay { step, rows });
        if step == TagStep::Done && !self.without.lacks(Defence::DoneAfterwards) {
            state.outbox -= rows;
        }
    }
}
