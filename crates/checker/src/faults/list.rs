//! The faults and their names. How each begins and ends is in `make.rs`.

use std::time::Duration;

use testkit::private_system::Service;

use super::target::Component;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Stopped in an orderly way, and unavailable for [`HOLD`](super::make::HOLD).
    Stop(Component),
    /// `kill -9`, and unavailable for the same time.
    Kill(Component),
    /// SIGSTOP for the same time.
    Freeze(Component),
    /// `kill -9` and an immediate restart with empty data.
    RestartEmpty,
    /// `kill -9` and a restart with an earlier snapshot of the data.
    RestartOld,
    FlushAll,
    /// Redis closes all connections repeatedly.
    ClientKill,
    /// Redis accepts no more data.
    FullMemory,
    /// All connections to the component break, and no new one is possible, for the same time.
    Cut(Component),
    /// The connections to the component go dead without notice to either end.
    HalfOpen(Component),
    /// The replies of the component are delayed.
    Delay(Component, Duration),
    /// The product API is killed between COMMIT and the invalidation.
    CrashAfterCommit,
    /// The product API is killed while it removes the members of a tag.
    CrashInDrain,
    /// Components are killed at random until so many edits are acknowledged. The seed chooses them; 0 for chance.
    RandomKills {
        writes: u64,
        seed: u64,
    },
}

use Component::{Postgres, Redis};
use Fault::{
    ClientKill, CrashAfterCommit, CrashInDrain, Cut, Delay, FlushAll, Freeze, FullMemory, HalfOpen, Kill, RandomKills,
    RestartEmpty, RestartOld, Stop,
};

/// The maximum duration of random kills.
pub(super) const LONGEST: Duration = Duration::from_secs(1_800);

/// All faults but the random kills, in the order in which they are made.
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
    /// Returns the name in the report and for `--only`.
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
            RandomKills { .. } => "random kills".to_owned(),
        }
    }

    /// Returns the maximum duration of the fault, made by a script on a busy machine.
    pub(super) fn longest(self) -> Duration {
        if matches!(self, RandomKills { .. }) { LONGEST } else { Duration::from_secs(240) }
    }

    /// Returns whether only Redis is unavailable: then every read and every write must succeed.
    pub(super) fn is_of_redis_alone(self) -> bool {
        match self {
            RestartEmpty | RestartOld | FlushAll | ClientKill | FullMemory => true,
            Stop(part) | Kill(part) | Freeze(part) | Cut(part) | HalfOpen(part) | Delay(part, _) => part == Redis,
            CrashAfterCommit | CrashInDrain | RandomKills { .. } => false,
        }
    }
}
