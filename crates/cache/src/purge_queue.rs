//! What the probe of a store asks of the invalidations, which are built on the stores.

/// Where a purge of the keyspace is requested. From the request to its end, no read returns an entry.
pub(crate) trait PurgeQueue: Send + Sync {
    /// Requests a purge, because the entries may be outdated.
    fn request_purge(&self);

    /// Returns whether all requested purges are done.
    fn is_purged(&self) -> bool;
}
