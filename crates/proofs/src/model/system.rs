//! The system of readers, writers, the relay and the faults around one Redis: the possible steps and the properties.

use stateright::{Model, Property};

use super::configuration::{Configuration, Goal, Promise};
use super::defence::Without;
use super::state::{Reader, State, Writer};

/// The protocol in one scenario, whole or without some of its defences.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    pub(super) scenario: Configuration,
    pub(super) without: Without,
}

const EVERYWHERE: [Goal; 2] = [Goal::Hit, Goal::StoredNew];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Read(usize),
    Write(usize),
    Relay,
    WriterDies(usize),
    GuardEnds(usize),
    LoaderDies(usize),
    RelayDies,
    /// A copy of the reader's request for the lease, sent by the client library, arrives late.
    LeaseTakenAgain(usize),
    EntryEvicted,
    ValueAges,
    TagSetEvicted,
    FenceTableLost,
    Flushed,
    SnapshotTaken,
    ComesBackOld,
    Recovers(usize),
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::of(&self.scenario)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (at, reader) in state.readers.iter().enumerate() {
            let waits = match reader {
                Reader::Joined { of, .. } => {
                    !matches!(state.readers[*of], Reader::Landed { .. } | Reader::Done | Reader::Dead)
                }
                Reader::Done | Reader::Landed { .. } | Reader::Dead => true,
                _ => false,
            };
            steps.extend((!waits).then_some(Step::Read(at)));
        }
        for (at, writer) in state.writers.iter().enumerate() {
            let waits = match writer {
                Writer::Ready | Writer::TooEarly => state.row_lock.is_some(),
                Writer::Done | Writer::Dead => true,
                _ => false,
            };
            steps.extend((!waits).then_some(Step::Write(at)));
        }
        steps.extend((state.outbox > 0 || state.relay.is_some()).then_some(Step::Relay));
        self.possible_faults(state, steps);
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Read(at) => self.read(&mut state, at),
            Step::Write(at) => self.write(&mut state, at),
            Step::Relay => self.relay(&mut state),
            fault => self.apply_fault(&mut state, fault)?,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always(Promise::Reads.words(), |_, state: &State| !state.stale)];
        if self.scenario.at_rest {
            properties.push(Property::always(Promise::Rest.words(), |_, state: &State| {
                !state.is_at_rest() || state.is_up_to_date()
            }));
        }
        properties.extend(EVERYWHERE.iter().chain(self.scenario.goals).map(|goal| goal.property()));
        properties
    }
}

impl Protocol {
    /// Records a goal, if this scenario has it: recording others would only multiply the states.
    pub(super) fn see(&self, state: &mut State, goal: Goal) {
        if EVERYWHERE.contains(&goal) || self.scenario.goals.contains(&goal) {
            state.seen |= 1 << goal as u32;
        }
    }
}

impl Promise {
    /// Returns the promise in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Reads => "no stale read after an acknowledged invalidation",
            Self::Rest => "nothing stays stale when all is at rest",
        }
    }
}

/// A property takes a plain function, so each goal has its own function.
macro_rules! goals {
    ($($goal:ident: $words:literal,)+) => {
        impl Goal {
            fn property(self) -> Property<Protocol> {
                match self {
                    $(Self::$goal => Property::sometimes($words, |_, state: &State| state.has_seen(Goal::$goal)),)+
                }
            }
        }
    };
}

goals! {
    Hit: "a hit",
    StoredNew: "the new version is stored",
    Lost: "a fill is refused, its lease is gone",
    LostToFault: "a fill is refused because of the fault alone",
    Generation: "a fill is refused by the generation",
    Floor: "a fill is refused by the floor",
    Fenced: "a fill is refused by a fence",
    Guarded: "a fill is refused by a guard",
    StoredAfterDeath: "a value is stored after a loader died with its lease",
    JoinedBefore: "a reader takes the value of a load that began after it came",
    JoinedDuring: "a reader takes a value because the commit vouches for it",
    Published: "a written value is stored",
    NotPublished: "a written value is refused",
    Leftovers: "a drain meets what another one left",
    Relayed: "the relay removes what a dead writer left",
    RelayedAgain: "the relay does so after it died itself",
    Disbelieved: "a value is found and not trusted",
    Unchecked: "a reply over an unchecked connection is not trusted",
    Stale: "a stale value is served as such",
    Refreshed: "a refresh replaces a value",
}
