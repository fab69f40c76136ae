//! Leases: the right to load an entry, and to store the loaded value if nothing has outdated it in the meantime.

use std::fmt;

use bytes::Bytes;

use crate::entry::StoredEntry;

/// 128 random bits, drawn anew for each use. A command that may have run is never sent again with the same ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RandomId(u128);

/// The state of the fence table when a load was allowed to begin.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// `L<id>` or `V<id>`: what the entry must still hold when the load is committed.
    pub(crate) token: Bytes,
    pub(crate) generation: Bytes,
    pub(crate) clock: u64,
}

/// The reply to one attempt to acquire the lease.
pub(crate) enum LeaseReply<G = Grant> {
    /// The caller may load the entry and store the value.
    Granted(G),
    /// Another client holds the lease.
    Taken,
    /// Another client has stored the value in the meantime.
    Found(StoredEntry),
    /// The entry could not be read, and has been removed.
    Retry,
    /// This reader must not use the existing entry, and a load of the entry has just failed.
    Failed,
    /// Redis did not answer.
    Unavailable,
}

/// The reply to an attempt to load an entry that exists.
pub(crate) enum RefreshReply {
    Granted(Grant),
    /// The entry has changed in the meantime.
    Changed,
    /// Another client is loading the entry.
    Taken,
    /// A load of the entry has failed, less than a lease ago.
    Failed,
}

impl RandomId {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    pub(crate) fn token(self, kind: char) -> Bytes {
        format!("{kind}{self}").into()
    }
}

impl fmt::Display for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
