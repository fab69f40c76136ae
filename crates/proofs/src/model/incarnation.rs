//! The trusted incarnation: which of two servers may be used, according to a record in the source of truth.
//!
//! This part of the protocol needs a clock, so it has a model of its own. The model has two servers, one process on each,
//! the record, and one write. The second server was a replica of the first one. It has the entry and has been promoted, and
//! the first server does not know that. Each process sees only its own server, as on two sides of a broken network. Either
//! process may begin a recovery at any time, because the model has no list of replaced servers: the promise does not depend
//! on that list. ADR 37 has the rules.

use stateright::{Model, Property};

use super::configuration::Promise;
use super::defence::{Defence, Without};

/// The length of a lease.
const LEASE: u8 = 2;
/// The number of processes, and of servers.
const COUNT: usize = 2;

/// A scenario of the trusted incarnation.
#[derive(Clone, Debug)]
pub(super) struct IncarnationScenario {
    pub(super) name: &'static str,
    /// How many ticks of the clock it lasts.
    pub(super) ticks: u8,
    /// How many recoveries may begin.
    pub(super) recoveries: u8,
    /// The process that writes; the other one reads.
    pub(super) writer: usize,
    pub(super) goals: &'static [Goal],
    pub(super) needs: &'static [&'static [Defence]],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    OldBefore,
    Unacknowledged,
    NewAfter,
    Recovered,
    TakenBack,
}

#[derive(Clone, Debug)]
pub(super) struct IncarnationProtocol {
    pub(super) scenario: IncarnationScenario,
    pub(super) without: Without,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Record {
    id: u8,
    server: usize,
    is_recovering: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Process {
    lease_until: u8,
    /// The access to the record in progress: when it began, and what it has read.
    poll: Option<(u8, Record)>,
    /// The recovery that the process takes part in: the id of its record, and since when.
    recovery: Option<(u8, u8)>,
    /// The read in progress: the version that the server has returned, and whether the read began after the
    /// acknowledgement.
    read: Option<(u8, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Write {
    Ready,
    Committed,
    /// The server has removed the entry.
    Removed,
    Acknowledged,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    time: u8,
    record: Record,
    recoveries: u8,
    /// The version that each server holds.
    entries: [Option<u8>; COUNT],
    processes: [Process; COUNT],
    write: Write,
    is_stale: bool,
    seen: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Tick,
    BeginPoll(usize),
    EndPoll(usize),
    BeginRead,
    EndRead,
    Load,
    Commit,
    Remove,
    Acknowledge,
}

impl Model for IncarnationProtocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut processes = [Process::default(); COUNT];
        processes[0].lease_until = LEASE;
        vec![State {
            time: 0,
            record: Record::default(),
            recoveries: 0,
            entries: [Some(1), Some(1)],
            processes,
            write: Write::Ready,
            is_stale: false,
            seen: 0,
        }]
    }

    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        use Step::*;
        steps.extend([Tick, BeginRead, EndRead, Load, Commit, Remove, Acknowledge]);
        steps.extend((0..COUNT).flat_map(|process| [BeginPoll(process), EndPoll(process)]));
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Tick => state.time = (state.time < self.scenario.ticks).then_some(state.time + 1)?,
            Step::BeginPoll(process) => {
                let poll = (state.time, state.record);
                state.processes[process].poll = state.processes[process].poll.is_none().then_some(Some(poll))?;
            }
            Step::EndPoll(process) => self.end_poll(&mut state, process)?,
            Step::BeginRead => {
                let (reader, after) = (self.reader(), state.write == Write::Acknowledged);
                let may_read = self.has_lease(&state, reader) && state.processes[reader].read.is_none();
                let version = state.entries[reader].filter(|_| may_read)?;
                state.processes[reader].read = Some((version, after));
            }
            Step::EndRead => self.end_read(&mut state)?,
            Step::Load => {
                // In one step: a load that a purge or an invalidation overtakes is refused, see the other scenarios.
                let reader = self.reader();
                let may_load = self.has_lease(&state, reader) && state.entries[reader].is_none();
                state.entries[reader] = may_load.then_some(Some(version(&state)))?;
            }
            Step::Commit => state.write = (state.write == Write::Ready).then_some(Write::Committed)?,
            Step::Remove => {
                (state.write == Write::Committed).then_some(())?;
                state.entries[self.scenario.writer] = None;
                state.write = Write::Removed;
            }
            Step::Acknowledge => {
                (state.write == Write::Removed).then_some(())?;
                // Otherwise the invalidation is deferred, and repeated.
                state.write = match self.has_lease(&state, self.scenario.writer) {
                    true => Write::Acknowledged,
                    false => {
                        see(&mut state, Goal::Unacknowledged);
                        Write::Committed
                    }
                };
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always(Promise::Reads.words(), |_, state: &State| !state.is_stale)];
        properties.extend(self.scenario.goals.iter().map(|goal| goal.property()));
        properties
    }
}

impl IncarnationProtocol {
    fn lacks(&self, defence: Defence) -> bool {
        self.without.lacks(defence)
    }

    fn reader(&self) -> usize {
        1 - self.scenario.writer
    }

    fn has_lease(&self, state: &State, process: usize) -> bool {
        self.lacks(Defence::TrustedLease) || state.time < state.processes[process].lease_until
    }

    /// The process decides by the record that it has read, which may have been replaced meanwhile.
    fn end_poll(&self, state: &mut State, process: usize) -> Option<()> {
        let (began, read) = state.processes[process].poll.take()?;
        let from = if self.lacks(Defence::TrustFromBegin) { state.time } else { began };
        let is_current = read.id == state.record.id || self.lacks(Defence::RecordComparison);
        if read.server != process {
            state.processes[process].lease_until = 0;
            if is_current && state.recoveries < self.scenario.recoveries {
                state.recoveries += 1;
                // An id is even while its recovery lasts.
                state.record = Record { id: 2 * state.recoveries, server: process, is_recovering: true };
                if process == 0 {
                    see(state, Goal::TakenBack);
                }
            }
            return Some(());
        }
        if !read.is_recovering {
            state.processes[process].recovery = None;
            state.processes[process].lease_until = from + LEASE;
            return Some(());
        }
        let known =
            state.processes[process].recovery.filter(|(id, _)| *id == read.id || self.lacks(Defence::RecoveryId));
        let (_, since) = *state.processes[process].recovery.insert(known.unwrap_or((read.id, state.time)));
        if state.time < since + LEASE && !self.lacks(Defence::RecoveryWait) {
            state.processes[process].lease_until = 0;
            return Some(());
        }
        if !self.lacks(Defence::RecoveryPurge) {
            state.entries[process] = None;
        }
        if is_current {
            state.record = Record { id: read.id + 1, server: process, is_recovering: false };
            see(state, Goal::Recovered);
        }
        state.processes[process].lease_until = from + LEASE;
        Some(())
    }

    fn end_read(&self, state: &mut State) -> Option<()> {
        let reader = self.reader();
        let (version, is_after) = state.processes[reader].read.take()?;
        if self.has_lease(state, reader) {
            state.is_stale |= is_after && version == 1;
            match (is_after, version) {
                (false, 1) => see(state, Goal::OldBefore),
                (true, 2) => see(state, Goal::NewAfter),
                _ => {}
            }
        }
        Some(())
    }
}

/// Returns the version of the row.
fn version(state: &State) -> u8 {
    if state.write == Write::Ready { 1 } else { 2 }
}

fn see(state: &mut State, goal: Goal) {
    state.seen |= 1 << goal as u8;
}

impl Goal {
    fn property(self) -> Property<IncarnationProtocol> {
        /// A property takes a plain function, so each goal has its own function.
        macro_rules! reached {
            ($goal:ident, $words:literal) => {
                Property::sometimes($words, |_, state: &State| state.seen & (1 << Goal::$goal as u8) != 0)
            };
        }
        match self {
            Self::OldBefore => reached!(OldBefore, "the old value is read before the acknowledgement"),
            Self::Unacknowledged => {
                reached!(Unacknowledged, "an invalidation is not acknowledged, because the lease is over")
            }
            Self::NewAfter => reached!(NewAfter, "the new value is read after the acknowledgement"),
            Self::Recovered => reached!(Recovered, "a recovery ends"),
            Self::TakenBack => reached!(TakenBack, "the first server is trusted again"),
        }
    }
}
