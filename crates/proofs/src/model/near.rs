//! The near cache: a process that returns an entry from its memory, and a writer that waits for it.
//!
//! This part of the protocol needs a clock, so it has a model of its own: a process with one entry, Redis, a writer, and
//! the connection between them, on which pushes and replies keep their order. A frozen process is one that takes no step
//! while time passes. See ADR 23 for the rules.

mod faults;
mod goals;

use stateright::{Model, Property};

use super::configuration::Promise;
use super::defence::{Defence, Without};

/// The length of a lease.
const BOUND: u8 = 2;
/// What is added to it where two clocks measure it: the clock of the process may lose one tick.
const MARGIN: u8 = 1;
/// Time begins when every lease from before is over.
const BEGIN: u8 = BOUND + MARGIN;

/// A scenario of the near cache.
#[derive(Clone, Debug)]
pub(super) struct NearScenario {
    pub(super) name: &'static str,
    /// How many ticks of the clock it lasts.
    pub(super) ticks: u8,
    /// The writer is the process itself.
    pub(super) own: bool,
    /// What may happen once.
    pub(super) fault: Option<Fault>,
    pub(super) goals: &'static [Goal],
    pub(super) needs: &'static [&'static [Defence]],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// All data is gone, and with it what Redis tracks. Its push is lost, too.
    Flush,
    /// Redis does not track the connection any more.
    TrackingOff,
    /// The connection is lost with everything on it; the process notices later.
    Cut,
    /// The clock of the process loses a tick.
    SlowClock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    OldBefore,
    NewAfter,
    Reported,
    WaitedFor,
    NoneListed,
    Reconnected,
}

#[derive(Clone, Debug)]
pub(super) struct NearProtocol {
    pub(super) scenario: NearScenario,
    pub(super) without: Without,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Snapshot {
    count: u8,
    epoch: u8,
}

/// What Redis has sent to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sent {
    Reply(u8),
    Push,
    Barrier { began: u8, is_continuous: bool, is_pushed: bool, is_asked: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Ready,
    Waiting { since: u8, listed: bool, has_asked: bool, unknown_until: u8 },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    time: u8,
    /// Redis: the version that a load would store, and what it keeps for the process.
    version: u8,
    tracks: bool,
    tracks_entry: bool,
    has_sentinel: bool,
    registered_until: u8,
    /// When the register was created; `None`: it is lost.
    register: Option<u8>,
    line: Vec<Sent>,
    is_connected: bool,
    /// The process.
    lag: u8,
    snapshot: Snapshot,
    lease_until: u8,
    entry: Option<(u8, Snapshot)>,
    get: Option<(Snapshot, bool)>,
    /// What the reader has received and not stored in memory yet.
    found: Option<(u8, Snapshot)>,
    /// When the barrier in progress began, and whether the writer had asked for it.
    barrier: Option<(u8, bool)>,
    asked: bool,
    reported: bool,
    writer: Writer,
    faults: u8,
    is_stale: bool,
    seen: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Tick,
    BeginGet,
    ExecuteGet,
    Keep,
    BeginBarrier,
    ExecuteBarrier,
    Take(usize),
    Reconnect,
    ReadFromMemory,
    Remove,
    Ask,
    Acknowledge,
    Fault(Fault),
}

impl Model for NearProtocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            time: BEGIN,
            version: 1,
            tracks: true,
            tracks_entry: false,
            has_sentinel: true,
            registered_until: BEGIN + BOUND + MARGIN,
            register: Some(0),
            line: Vec::new(),
            is_connected: true,
            lag: 0,
            snapshot: Snapshot { count: 0, epoch: 0 },
            lease_until: BEGIN + BOUND,
            entry: None,
            get: None,
            found: None,
            barrier: None,
            asked: false,
            reported: false,
            writer: Writer::Ready,
            faults: 1,
            is_stale: false,
            seen: 0,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        use Step::*;
        steps.extend([Tick, BeginGet, ExecuteGet, Keep, BeginBarrier, ExecuteBarrier, Reconnect, ReadFromMemory]);
        steps.extend([Remove, Ask, Acknowledge]);
        // A process with two queues may take a reply before the pushes that were sent earlier.
        let reachable = if self.lacks(Defence::OneQueue) { state.line.len() } else { state.line.len().min(1) };
        steps.extend((0..reachable).map(Take));
        steps.extend(self.scenario.fault.filter(|_| state.faults > 0).map(Fault));
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Tick => state.time = (state.time < BEGIN + self.scenario.ticks).then_some(state.time + 1)?,
            Step::BeginGet => self.begin_get(&mut state)?,
            Step::ExecuteGet => execute_get(&mut state)?,
            Step::Keep => self.keep(&mut state)?,
            Step::BeginBarrier => begin_barrier(&mut state)?,
            Step::ExecuteBarrier => self.execute_barrier(&mut state)?,
            Step::Take(at) => self.take(&mut state, at),
            Step::Reconnect => self.reconnect(&mut state)?,
            Step::ReadFromMemory => self.read(&mut state)?,
            Step::Remove => self.remove(&mut state)?,
            Step::Ask => ask(&mut state)?,
            Step::Acknowledge => self.acknowledge(&mut state)?,
            Step::Fault(fault) => faults::apply(&mut state, fault),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always(Promise::Reads.words(), |_, state: &State| !state.is_stale)];
        properties.extend(self.scenario.goals.iter().map(|goal| goal.property()));
        properties
    }
}

impl NearProtocol {
    fn lacks(&self, defence: Defence) -> bool {
        self.without.lacks(defence)
    }

    fn margin(&self) -> u8 {
        if self.lacks(Defence::Margin) { 0 } else { MARGIN }
    }

    fn has_lease(&self, state: &State) -> bool {
        self.lacks(Defence::Lease) || state.time - state.lag < state.lease_until
    }

    fn begin_get(&self, state: &mut State) -> Option<()> {
        let is_needed = state.get.is_none() && state.found.is_none() && state.is_connected && self.has_lease(state);
        state.get = is_needed.then_some(Some((state.snapshot, false)))?;
        Some(())
    }

    fn keep(&self, state: &mut State) -> Option<()> {
        let (version, before) = state.found.take()?;
        state.entry = Some((version, if self.lacks(Defence::SnapshotBefore) { state.snapshot } else { before }));
        Some(())
    }

    fn execute_barrier(&self, state: &mut State) -> Option<()> {
        let (began, is_asked) = state.barrier.filter(|_| state.is_connected && !is_executed(state))?;
        let (is_continuous, is_pushed) = (state.has_sentinel, state.tracks);
        state.has_sentinel = true;
        if !self.lacks(Defence::Register) {
            state.register.get_or_insert(state.time);
            state.registered_until = state.time + BOUND + self.margin();
        }
        state.line.push(Sent::Barrier { began, is_continuous, is_pushed, is_asked });
        Some(())
    }

    /// The process takes what Redis has sent.
    fn take(&self, state: &mut State, at: usize) {
        match state.line.remove(at) {
            Sent::Push => state.snapshot.count += 1,
            Sent::Reply(version) => {
                state.found = state.get.take().map(|(snapshot, _)| (version, snapshot));
            }
            Sent::Barrier { began, is_continuous, is_pushed, is_asked } => {
                state.barrier = None;
                if !is_continuous && !self.lacks(Defence::Continuity) {
                    self.forget(state);
                } else if is_pushed || self.lacks(Defence::VerifiedByPush) {
                    let from = if self.lacks(Defence::LeaseFromBegin) { state.time - state.lag } else { began };
                    state.lease_until = from + BOUND;
                    state.reported |= is_asked || self.lacks(Defence::FreshReport) && state.asked;
                }
            }
        }
    }

    /// The process ends its lease, and nothing that it has read so far is valid any more.
    fn forget(&self, state: &mut State) {
        state.lease_until = 0;
        if !self.lacks(Defence::Epoch) {
            state.snapshot.epoch += 1;
        }
        (state.get, state.barrier, state.asked) = (None, None, false);
        state.line.clear();
        (state.is_connected, state.tracks, state.tracks_entry, state.has_sentinel) = (true, true, false, true);
        see(state, Goal::Reconnected);
    }

    fn reconnect(&self, state: &mut State) -> Option<()> {
        (!state.is_connected).then(|| self.forget(state))
    }

    fn read(&self, state: &mut State) -> Option<()> {
        let (version, snapshot) = state.entry.filter(|_| self.has_lease(state))?;
        let is_counted = snapshot.count == state.snapshot.count || self.lacks(Defence::Counter);
        if !is_counted || snapshot.epoch != state.snapshot.epoch {
            return None;
        }
        let is_acknowledged = state.writer == Writer::Done;
        state.is_stale |= is_acknowledged && version == 1;
        match (is_acknowledged, version) {
            (false, 1) => see(state, Goal::OldBefore),
            (true, 2) => see(state, Goal::NewAfter),
            _ => {}
        }
        Some(())
    }

    /// The writer has committed. Redis removes the entry, sends its push, and lists the holders.
    fn remove(&self, state: &mut State) -> Option<()> {
        (state.writer == Writer::Ready).then_some(())?;
        state.version = 2;
        if state.tracks_entry && state.is_connected {
            state.line.push(Sent::Push);
        }
        state.tracks_entry = false;
        let longest = BOUND + self.margin();
        let since = *state.register.get_or_insert(state.time);
        let unknown_until = if self.lacks(Defence::RegisterAge) { 0 } else { since + longest };
        if self.scenario.own && !self.lacks(Defence::OwnCopy) {
            state.snapshot.count += 1;
        }
        let listed = state.registered_until > state.time && !self.scenario.own;
        state.writer = Writer::Waiting { since: state.time, listed, has_asked: false, unknown_until };
        Some(())
    }

    fn acknowledge(&self, state: &mut State) -> Option<()> {
        let Writer::Waiting { since, listed, unknown_until, .. } = state.writer else { return None };
        let is_over = state.time >= since + BOUND + self.margin();
        ((!listed || state.reported || is_over) && state.time >= unknown_until).then_some(())?;
        match (listed, state.reported) {
            (true, true) => see(state, Goal::Reported),
            (true, false) => see(state, Goal::WaitedFor),
            (false, _) => see(state, Goal::NoneListed),
        }
        state.writer = Writer::Done;
        Some(())
    }
}

fn execute_get(state: &mut State) -> Option<()> {
    let (snapshot, _) = state.get.filter(|(_, is_executed)| state.is_connected && !is_executed)?;
    state.get = Some((snapshot, true));
    state.tracks_entry = state.tracks;
    state.line.push(Sent::Reply(state.version));
    Some(())
}

fn begin_barrier(state: &mut State) -> Option<()> {
    (state.barrier.is_none() && state.is_connected).then_some(())?;
    state.barrier = Some((state.time - state.lag, state.asked));
    state.asked = false;
    Some(())
}

/// The request of the writer reaches the process.
fn ask(state: &mut State) -> Option<()> {
    let Writer::Waiting { listed: true, has_asked, .. } = &mut state.writer else { return None };
    (!std::mem::replace(has_asked, true)).then(|| state.asked = state.is_connected)
}

fn is_executed(state: &State) -> bool {
    state.line.iter().any(|sent| matches!(sent, Sent::Barrier { .. }))
}

fn see(state: &mut State, goal: Goal) {
    state.seen |= 1 << goal as u8;
}
