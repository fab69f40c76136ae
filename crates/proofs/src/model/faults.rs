//! The faults of the processes and of Redis.

use super::defence::Defence;
use super::redis::{Entry, Redis};
use super::state::{Reader, State, Trust, Writer};
use super::system::{Protocol, Step};

impl Protocol {
    pub(super) fn possible_faults(&self, state: &State, steps: &mut Vec<Step>) {
        let scenario = &self.scenario;
        for (at, writer) in state.writers.iter().enumerate() {
            let is_committed =
                matches!(writer, Writer::Committed { .. } | Writer::Draining { .. } | Writer::Releasing { .. });
            if scenario.crashes && is_committed {
                steps.push(Step::WriterDies(at));
            }
            let may_end = is_committed || *writer == Writer::Dead || self.without.lacks(Defence::GuardOutlasts);
            if scenario.crashes && may_end && state.redis.guards & (1 << at) != 0 {
                steps.push(Step::GuardEnds(at));
            }
        }
        for (at, reader) in state.readers.iter().enumerate() {
            let loading = matches!(reader, Reader::Granted { .. } | Reader::Loaded { .. });
            if scenario.loader_dies && loading && !state.readers.contains(&Reader::Dead) {
                steps.push(Step::LoaderDies(at));
            }
            if loading && self.without.lacks(Defence::SentOnce) && state.redis.entry == Entry::Nothing {
                steps.push(Step::LeaseTakenAgain(at));
            }
        }
        if scenario.relay_dies && state.relay.is_some() && !state.relay_died {
            steps.push(Step::RelayDies);
        }
        if state.faults_left > 0 {
            steps.extend((scenario.evictions && state.redis.entry != Entry::Nothing).then_some(Step::EntryEvicted));
            steps.extend(scenario.ages.then_some(Step::ValueAges));
            steps.extend(scenario.table_loss.then_some(Step::FenceTableLost));
            steps.extend(scenario.flushes.then_some(Step::Flushed));
            steps.extend(self.without.lacks(Defence::NoEviction).then_some(Step::TagSetEvicted));
            steps.extend(state.snapshot.is_some().then_some(Step::ComesBackOld));
        }
        if scenario.old_data {
            steps.extend((state.snapshot.is_none() && state.faults_left > 0).then_some(Step::SnapshotTaken));
            let unsure = state.belief.iter().enumerate().filter(|(_, belief)| **belief != Trust::Full);
            steps.extend(unsure.map(|(process, _)| Step::Recovers(process)));
        }
    }

    /// Applies a fault. Returns `None` if nothing changes.
    pub(super) fn apply_fault(&self, state: &mut State, fault: Step) -> Option<()> {
        match fault {
            Step::WriterDies(at) => state.writers[at] = Writer::Dead,
            Step::GuardEnds(at) => {
                state.redis.guards &= !(1 << at);
                state.redis.ended |= 1 << at;
            }
            Step::LoaderDies(at) => state.readers[at] = Reader::Dead,
            Step::RelayDies => {
                state.relay = None;
                state.relay_died = true;
            }
            Step::LeaseTakenAgain(at) => match state.readers[at] {
                Reader::Granted { grant, .. } | Reader::Loaded { grant, .. } => {
                    state.redis.entry = Entry::Lease(grant.id);
                }
                _ => return None,
            },
            Step::SnapshotTaken => state.snapshot = Some(state.redis.clone()),
            Step::Recovers(process) => self.recover(state, process),
            fault => {
                state.faults_left -= 1;
                self.befalls_redis(state, fault)?;
            }
        }
        Some(())
    }

    fn befalls_redis(&self, state: &mut State, fault: Step) -> Option<()> {
        match fault {
            Step::EntryEvicted => state.redis.entry = Entry::Nothing,
            Step::ValueAges => match &mut state.redis.entry {
                Entry::Value { stale, .. } => *stale = true,
                Entry::Nothing | Entry::Lease(_) => return None,
            },
            Step::FenceTableLost => state.redis.lose_fences(),
            Step::Flushed => state.redis = Redis::default(),
            Step::TagSetEvicted => state.redis.tagged = false,
            Step::ComesBackOld => {
                state.redis = state.snapshot.take()?;
                state.belief.fill(Trust::Unaware);
            }
            _ => return None,
        }
        Some(())
    }

    /// A process takes the next step towards trusting Redis again.
    fn recover(&self, state: &mut State, process: usize) {
        state.belief[process] = match state.belief[process] {
            Trust::Unaware => Trust::Away,
            Trust::Away if !self.without.lacks(Defence::Distrust) => Trust::None,
            Trust::None => {
                state.redis.lose_fences();
                Trust::Emptying
            }
            Trust::Emptying => {
                state.redis.entry = Entry::Nothing;
                state.redis.tagged = false;
                state.redis.draining = false;
                Trust::Full
            }
            Trust::Away | Trust::Full => Trust::Full,
        };
    }
}
