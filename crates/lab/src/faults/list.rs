//! The faults, and what they are called. How each begins and ends stands in `make.rs`.

use std::time::Duration;

use super::target::Component;
use crate::private_system::Service;

/// What is done to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Stopped in good order, away for a while.
    Stop(Component),
    /// `kill -9`, away for a while.
    Kill(Component),
    /// SIGSTOP, for a while.
    Freeze(Component),
    /// `kill -9`, and at once again, with nothing in it.
    RestartEmpty,
    /// `kill -9`, and again with what it held some time ago.
    RestartOld,
    FlushAll,
    /// All connections are closed by Redis, again and again.
    ClientKill,
    /// Redis takes no more data.
    FullMemory,
    /// All connections to it break, and no new one is possible, for a while.
    Cut(Component),
    /// Its connections go dead, and nobody is told.
    HalfOpen(Component),
    /// Its answers come late.
    Delay(Component, Duration),
    /// The product API dies between COMMIT and the invalidation.
    CrashAfterCommit,
    /// The product API dies while it removes the members of a tag.
    CrashInDrain,
}

use Component::{Postgres, Redis};
use Fault::{
    ClientKill, CrashAfterCommit, CrashInDrain, Cut, Delay, FlushAll, Freeze, FullMemory, HalfOpen, Kill, RestartEmpty,
    RestartOld, Stop,
};

/// All of them, in the order in which they are made.
pub(super) const ALL: [Fault; 27] = [
    Stop(Redis),
    Kill(Redis),
    Freeze(Redis),
    RestartEmpty,
    RestartOld,
    FlushAll,
    ClientKill,
    FullMemory,
    Cut(Redis),
    HalfOpen(Redis),
    Delay(Redis, Duration::from_millis(15)),
    Delay(Redis, Duration::from_millis(100)),
    Kill(Component::Service(Service::ProductApi)),
    Freeze(Component::Service(Service::ProductApi)),
    Kill(Component::Service(Service::Cart)),
    Freeze(Component::Service(Service::Cart)),
    Kill(Component::Service(Service::Search)),
    Freeze(Component::Service(Service::Search)),
    Kill(Component::Service(Service::Recommendation)),
    Freeze(Component::Service(Service::Recommendation)),
    Stop(Postgres),
    Kill(Postgres),
    Cut(Postgres),
    HalfOpen(Postgres),
    Delay(Postgres, Duration::from_millis(20)),
    CrashAfterCommit,
    CrashInDrain,
];

impl Fault {
    /// As it is called in the report, and by `--only`.
    pub(super) fn name(self) -> String {
        match self {
            Stop(part) => format!("{} stopped", part.name()),
            Kill(part) => format!("{} killed", part.name()),
            Freeze(part) => format!("{} frozen", part.name()),
            RestartEmpty => "redis restarted empty".to_owned(),
            RestartOld => "redis restarted with older data".to_owned(),
            FlushAll => "redis flushed".to_owned(),
            ClientKill => "redis closes connections".to_owned(),
            FullMemory => "redis has no memory left".to_owned(),
            Cut(part) => format!("{} cut off", part.name()),
            HalfOpen(part) => format!("{} half-open", part.name()),
            Delay(part, delay) => format!("{} {} ms late", part.name(), delay.as_millis()),
            CrashAfterCommit => "product-api dies after COMMIT".to_owned(),
            CrashInDrain => "product-api dies in a tag drain".to_owned(),
        }
    }

    /// Whether only Redis is away: then every read and every write succeeds all the same.
    pub(super) fn is_of_redis_alone(self) -> bool {
        match self {
            RestartEmpty | RestartOld | FlushAll | ClientKill | FullMemory => true,
            Stop(part) | Kill(part) | Freeze(part) | Cut(part) | HalfOpen(part) | Delay(part, _) => part == Redis,
            CrashAfterCommit | CrashInDrain => false,
        }
    }
}
