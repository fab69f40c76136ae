//! The goals of a scenario.

/// An observation which shows that something happened and had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Hit,
    StoredNew,
    /// A COMMIT was refused because its lease, or the value that it refreshes, no longer exists.
    Lost,
    /// … before any write: only a fault can have removed it.
    LostToFault,
    Generation,
    Floor,
    Fenced,
    /// A value was stored after a loader had crashed with its lease.
    StoredAfterDeath,
    JoinedBefore,
    /// A reader has taken the value of a load that had begun before the reader came, because the commit vouches for it.
    JoinedDuring,
    Published,
    NotPublished,
    Leftovers,
    /// The relay has removed an entry that a crashed writer did not invalidate.
    Relayed,
    /// … after the relay itself had crashed.
    RelayedAgain,
    /// A value of a restarted Redis was not trusted.
    Disbelieved,
    /// A reply over an unverified connection was not trusted.
    Unchecked,
    /// A stale value was served as such.
    Stale,
    Refreshed,
}
