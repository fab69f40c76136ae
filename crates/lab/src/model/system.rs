//! Readers, writers, the relay and the faults around one Redis: who may do what next.

use stateright::{Model, Property};

use super::configuration::{Configuration, Writes};
use super::redis::{Defence, Entry, Grant, Redis, Stage, Version};

/// The protocol in one configuration, whole or without one defence.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    pub(super) configuration: Configuration,
    pub(super) without: Option<Defence>,
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    redis: Redis,
    /// The committed version of the row, and the highest whose invalidation was acknowledged.
    committed: Version,
    acknowledged: Version,
    /// Whether there is a row in the outbox that nobody has relayed yet.
    outbox: bool,
    relay: Option<Stage>,
    /// Whose transaction holds the row.
    row_lock: Option<usize>,
    readers: Vec<Reader>,
    writers: Vec<Writer>,
    /// The flight that can be joined: whose it is, and its phase.
    flight: Option<(usize, u8)>,
    snapshot: Option<Redis>,
    /// How far each process believes Redis: the readers, then the writers, each a process of its own.
    belief: Vec<Belief>,
    next_id: u8,
    faults_left: u8,
    seen: Seen,
}

/// What has happened on the way here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Seen {
    stale: bool,
    hit: bool,
    stored_new: bool,
    refused: bool,
    joined: bool,
}

/// What a process thinks of Redis, when that was restarted (ADR 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Belief {
    Full,
    /// Its breaker is open: it sends nothing.
    Away,
    /// It has seen that this is another Redis, and does not believe what it finds there.
    None,
    /// It has dropped the fence table, and not yet the entries.
    Emptying,
}

/// A read of the one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Ready,
    /// It has begun, when this much was acknowledged, and found nothing.
    Missed {
        floor: Version,
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
}

/// A write of the one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
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

/// A step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Read(usize),
    Write(usize),
    Relay,
    WriterDies(usize),
    EntryEvicted,
    FenceTableLost,
    Flushed,
    SnapshotTaken,
    ComesBackOld,
    /// A process goes one step further towards believing Redis again.
    Recovers(usize),
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            redis: Redis::new(),
            committed: 1,
            acknowledged: 1,
            outbox: false,
            relay: None,
            row_lock: None,
            readers: vec![Reader::Ready; self.configuration.readers],
            writers: vec![Writer::Ready; self.configuration.writers],
            flight: None,
            snapshot: None,
            belief: vec![Belief::Full; self.configuration.readers + self.configuration.writers],
            next_id: 1,
            faults_left: self.configuration.faults,
            seen: Seen::default(),
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (at, reader) in state.readers.iter().enumerate() {
            let waits = matches!(reader, Reader::Joined { of, .. } if !matches!(state.readers[*of], Reader::Landed { .. } | Reader::Done));
            if !matches!(reader, Reader::Done | Reader::Landed { .. }) && !waits {
                steps.push(Step::Read(at));
            }
        }
        for (at, writer) in state.writers.iter().enumerate() {
            let waits = matches!(writer, Writer::Ready | Writer::TooEarly) && state.row_lock.is_some();
            if !matches!(writer, Writer::Done | Writer::Dead) && !waits {
                steps.push(Step::Write(at));
            }
            if self.configuration.crashes && matches!(writer, Writer::Committed { .. } | Writer::Draining { .. }) {
                steps.push(Step::WriterDies(at));
            }
        }
        if state.outbox || state.relay.is_some() {
            steps.push(Step::Relay);
        }
        if state.faults_left > 0 {
            let of = &self.configuration;
            steps.extend(of.evictions.then_some(Step::EntryEvicted));
            steps.extend(of.table_loss.then_some(Step::FenceTableLost));
            steps.extend(of.flushes.then_some(Step::Flushed));
        }
        let unsure = state.belief.iter().enumerate().filter(|(_, belief)| **belief != Belief::Full);
        steps.extend(unsure.map(|(process, _)| Step::Recovers(process)));
        if self.configuration.old_data {
            steps.extend(state.snapshot.is_none().then_some(Step::SnapshotTaken));
            steps.extend((state.snapshot.is_some() && state.faults_left > 0).then_some(Step::ComesBackOld));
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Read(at) => self.read(&mut state, at),
            Step::Write(at) => self.write(&mut state, at),
            Step::Relay => self.relay(&mut state),
            Step::WriterDies(at) => {
                state.writers[at] = Writer::Dead;
                state.row_lock = state.row_lock.filter(|holder| *holder != at);
            }
            Step::EntryEvicted => {
                state.faults_left -= 1;
                state.redis.entry = Entry::Nothing;
            }
            Step::FenceTableLost => {
                state.faults_left -= 1;
                let Redis { entry, tagged, draining, .. } = state.redis;
                state.redis = Redis { entry, tagged, draining, ..Redis::default() };
            }
            Step::Flushed => {
                state.faults_left -= 1;
                state.redis = Redis::default();
            }
            Step::SnapshotTaken => state.snapshot = Some(state.redis.clone()),
            Step::ComesBackOld => {
                state.faults_left -= 1;
                state.redis = state.snapshot.clone()?;
                state.belief.fill(Belief::Away);
            }
            Step::Recovers(process) => {
                state.belief[process] = match state.belief[process] {
                    Belief::Away if self.without != Some(Defence::Distrust) => Belief::None,
                    Belief::None => {
                        let Redis { entry, tagged, draining, .. } = state.redis;
                        state.redis = Redis { entry, tagged, draining, ..Redis::default() };
                        Belief::Emptying
                    }
                    Belief::Emptying => {
                        state.redis = Redis { entry: Entry::Nothing, tagged: false, draining: false, ..state.redis };
                        Belief::Full
                    }
                    Belief::Away | Belief::Full => Belief::Full,
                };
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no stale read after an acknowledged invalidation", |_, state: &State| !state.seen.stale),
            Property::always("nothing stays stale when all is at rest", |protocol: &Self, state: &State| {
                !protocol.configuration.at_rest
                    || !state.is_at_rest()
                    || match state.redis.entry {
                        Entry::Value(_, version) => version == state.committed,
                        Entry::Nothing | Entry::Lease(_) => true,
                    }
            }),
        ];
        // So that the promises are not kept by nothing ever happening.
        properties.push(Property::sometimes("a hit", |_, state: &State| state.seen.hit));
        properties.push(Property::sometimes("the new version is stored", |_, state: &State| state.seen.stored_new));
        if self.configuration.refuses {
            properties.push(Property::sometimes("a fill is refused", |_, state: &State| state.seen.refused));
        }
        if self.configuration.joins {
            properties
                .push(Property::sometimes("a reader takes another's value", |_, state: &State| state.seen.joined));
        }
        properties
    }
}

impl State {
    fn is_at_rest(&self) -> bool {
        let read =
            self.readers.iter().all(|reader| matches!(reader, Reader::Done | Reader::Landed { .. } | Reader::Ready));
        let written = self.writers.iter().all(|writer| matches!(writer, Writer::Done | Writer::Dead));
        let believed = self.belief.iter().all(|belief| *belief == Belief::Full);
        read && written && believed && !self.outbox && self.relay.is_none()
    }

    fn fresh_id(&mut self) -> u8 {
        self.next_id += 1;
        self.next_id
    }

    /// A reader that began at `floor` takes this.
    fn taken(&mut self, version: Version, floor: Version) -> Reader {
        self.seen.stale |= version < floor;
        Reader::Done
    }
}

impl Protocol {
    fn read(&self, state: &mut State, at: usize) {
        let without = self.without;
        let away = state.belief[at] == Belief::Away;
        let believes = state.belief[at] == Belief::Full || without == Some(Defence::EmptiedFirst);
        state.readers[at] = match state.readers[at] {
            // It loads by itself: what it has is of now.
            Reader::Ready | Reader::Missed { .. } if away => Reader::Done,
            Reader::Ready | Reader::Missed { .. } if !believes && matches!(state.redis.entry, Entry::Value(..)) => {
                Reader::Done
            }
            Reader::Ready => {
                let floor = state.acknowledged;
                match (state.redis.entry, state.flight) {
                    (Entry::Value(_, version), _) => {
                        state.seen.hit = true;
                        state.taken(version, floor)
                    }
                    (_, Some((of, phase))) if self.configuration.joins => Reader::Joined { floor, of, phase },
                    // Whoever meets another's lease loads by itself and stores nothing.
                    (Entry::Lease(_), _) => Reader::Done,
                    (Entry::Nothing, _) => {
                        state.flight = self.configuration.joins.then_some((at, 1)).or(state.flight);
                        Reader::Missed { floor }
                    }
                }
            }
            Reader::Missed { floor } => {
                let id = state.fresh_id();
                match (state.redis.acquire(id, false), state.redis.entry) {
                    (Some(grant), _) => {
                        state.flight = state.flight.map(|(of, phase)| (of, if of == at { 2 } else { phase }));
                        Reader::Granted { floor, grant }
                    }
                    (None, Entry::Value(_, version)) => {
                        self.close(state, at);
                        state.taken(version, floor)
                    }
                    (None, _) => {
                        self.close(state, at);
                        Reader::Done
                    }
                }
            }
            Reader::Granted { floor, grant } => Reader::Loaded { floor, grant, version: state.committed },
            Reader::Loaded { floor, grant, version } => {
                if without != Some(Defence::ClosedBeforeCommit) {
                    self.close(state, at);
                }
                let id = state.fresh_id();
                let stored = match without {
                    _ if away => false,
                    Some(Defence::NoVersionCompare) => self.store_unless_newer(state, version),
                    _ => state.redis.commit(grant, id, version, without),
                };
                state.seen.refused |= !stored;
                state.seen.stored_new |= stored && version > 1;
                Reader::Committed { floor, version, stored }
            }
            Reader::Committed { floor, version, stored } => {
                self.close(state, at);
                state.seen.stale |= version < floor;
                Reader::Landed { version, stored }
            }
            Reader::Joined { floor, of, phase } => match state.readers[of] {
                Reader::Landed { version, stored } => {
                    // The load is phase 2: who came before takes it, who came during it only if the commit vouches for it.
                    let good = phase < 2 || stored || without == Some(Defence::JoinRule);
                    state.seen.joined |= good;
                    if good { state.taken(version, floor) } else { Reader::Done }
                }
                _ => Reader::Done,
            },
            over @ (Reader::Landed { .. } | Reader::Done) => over,
        };
    }

    fn close(&self, state: &mut State, at: usize) {
        state.flight = state.flight.filter(|(of, _)| *of != at);
    }

    fn store_unless_newer(&self, state: &mut State, version: Version) -> bool {
        let newer = matches!(state.redis.entry, Entry::Value(_, other) if other >= version);
        if !newer {
            state.redis.entry = Entry::Value(0, version);
        }
        !newer
    }

    fn write(&self, state: &mut State, at: usize) {
        let without = self.without;
        let through = self.configuration.writes == Writes::Through;
        state.writers[at] = match state.writers[at] {
            Writer::Ready if without == Some(Defence::AfterCommit) => {
                state.redis.remove(without);
                Writer::TooEarly
            }
            Writer::Ready | Writer::TooEarly => {
                state.row_lock = Some(at);
                let steals = through && !matches!(without, Some(Defence::StolenLease | Defence::NoVersionCompare));
                let id = state.fresh_id();
                Writer::Locked { grant: steals.then(|| state.redis.acquire(id, true)).flatten() }
            }
            Writer::Locked { grant } => {
                state.row_lock = None;
                state.committed += 1;
                state.outbox |= self.configuration.crashes && without != Some(Defence::Outbox);
                Writer::Committed { version: state.committed, grant }
            }
            // Not acknowledged; it is made up for when everything is dropped.
            Writer::Committed { .. } if state.belief[self.configuration.readers + at] == Belief::Away => Writer::Done,
            Writer::Committed { version, grant } => match self.configuration.writes {
                Writes::Key if without == Some(Defence::AfterCommit) => self.acknowledged(state, version),
                Writes::Key => {
                    state.redis.remove(without);
                    self.acknowledged(state, version)
                }
                Writes::Tag => {
                    let stage = state.redis.invalidate_tag(Stage::Begin, self.configuration.folds, without);
                    self.drained(state, version, stage)
                }
                Writes::Through => {
                    let id = state.fresh_id();
                    let stored = match (grant, without) {
                        (_, Some(Defence::NoVersionCompare)) => {
                            self.store_unless_newer(state, version);
                            true
                        }
                        // Without a lease of its own: whatever is there is overwritten.
                        (None, _) => {
                            state.redis.entry = Entry::Value(id, version);
                            true
                        }
                        (Some(grant), without) => state.redis.commit(grant, id, version, without),
                    };
                    if stored { self.acknowledged(state, version) } else { Writer::Refused { version } }
                }
            },
            Writer::Draining { version, stage } => {
                let stage = state.redis.invalidate_tag(stage, self.configuration.folds, without);
                self.drained(state, version, stage)
            }
            Writer::Refused { version } => {
                state.redis.remove(without);
                self.acknowledged(state, version)
            }
            over @ (Writer::Done | Writer::Dead) => over,
        };
    }

    fn drained(&self, state: &mut State, version: Version, stage: Stage) -> Writer {
        match stage {
            Stage::Done => self.acknowledged(state, version),
            stage => Writer::Draining { version, stage },
        }
    }

    fn acknowledged(&self, state: &mut State, version: Version) -> Writer {
        state.acknowledged = state.acknowledged.max(version);
        Writer::Done
    }

    /// Repeats the invalidation for whoever did not come to it.
    fn relay(&self, state: &mut State) {
        let without = self.without;
        let stage = match (self.configuration.writes, state.relay.take()) {
            (Writes::Tag, None) => {
                state.outbox = false;
                state.redis.invalidate_tag(Stage::Begin, self.configuration.folds, without)
            }
            (Writes::Tag, Some(stage)) => state.redis.invalidate_tag(stage, self.configuration.folds, without),
            (Writes::Key | Writes::Through, _) => {
                state.outbox = false;
                state.redis.remove(without);
                Stage::Done
            }
        };
        state.relay = (stage != Stage::Done).then_some(stage);
    }
}
