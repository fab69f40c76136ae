//! The faults and their names. How each begins and ends is in `make.rs`.

use std::time::Duration;

use testkit::private_system::Service;

use super::stack::SECOND;
use super::target::Component;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Stopped in an orderly way, and unavailable for [`FAULT_DURATION`].
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
    /// What goes wrong with the near cache of the second process of the product API.
    Near(NearFault),
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

/// A fault of what Redis tells a process about changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NearFault {
    /// Nothing arrives on it any more.
    Stalled,
    /// It breaks repeatedly.
    Closed,
    /// Redis does not track what the process reads, and the process does not know.
    NotTracked,
    /// Everything that Redis sends to the process is late.
    Slow,
    /// Redis removes thousands of entries at once, and tells the process of each.
    Burst,
}

use Component::{Postgres, Redis};
use Fault::{
    ClientKill, CrashAfterCommit, CrashInDrain, Cut, Delay, FlushAll, Freeze, FullMemory, HalfOpen, Kill, Near,
    RandomKills, RestartEmpty, RestartOld, Stop,
};

/// The duration of a fault.
pub(super) const FAULT_DURATION: Duration = Duration::from_secs(2);
/// The maximum duration of random kills.
pub(super) const MAX_RANDOM_KILLS: Duration = Duration::from_secs(1_800);

/// All faults but the random kills, in the order in which they are made.
pub(super) const ALL: [Fault; 34] = [
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
    Kill(Component::Service(Service::ProductApi.first())),
    Freeze(Component::Service(Service::ProductApi.first())),
    Kill(Component::Service(Service::Cart.first())),
    Freeze(Component::Service(Service::Cart.first())),
    Kill(Component::Service(Service::Search.first())),
    Freeze(Component::Service(Service::Search.first())),
    Kill(Component::Service(Service::Recommendation.first())),
    Freeze(Component::Service(Service::Recommendation.first())),
    Kill(Component::Service(SECOND)),
    Freeze(Component::Service(SECOND)),
    Near(NearFault::Stalled),
    Near(NearFault::Closed),
    Near(NearFault::NotTracked),
    Near(NearFault::Slow),
    Near(NearFault::Burst),
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
            Near(NearFault::Stalled) => "product-api-2 gets no pushes".to_owned(),
            Near(NearFault::Closed) => "product-api-2 loses its pushes".to_owned(),
            Near(NearFault::NotTracked) => "product-api-2 is not tracked".to_owned(),
            Near(NearFault::Slow) => "product-api-2 gets pushes late".to_owned(),
            Near(NearFault::Burst) => "a burst of invalidations".to_owned(),
            CrashAfterCommit => "product-api dies after COMMIT".to_owned(),
            CrashInDrain => "product-api dies in a tag drain".to_owned(),
            RandomKills { .. } => "random kills".to_owned(),
        }
    }

    /// Returns the maximum duration of the fault, made by a script on a busy machine.
    pub(super) fn longest(self) -> Duration {
        if matches!(self, RandomKills { .. }) { MAX_RANDOM_KILLS } else { Duration::from_secs(240) }
    }

    /// Returns whether only Redis is unavailable: then every read and every write must succeed.
    pub(super) fn is_of_redis_alone(self) -> bool {
        match self {
            RestartEmpty | RestartOld | FlushAll | ClientKill | FullMemory | Near(_) => true,
            Stop(part) | Kill(part) | Freeze(part) | Cut(part) | HalfOpen(part) | Delay(part, _) => part == Redis,
            CrashAfterCommit | CrashInDrain | RandomKills { .. } => false,
        }
    }
}
