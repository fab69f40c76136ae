//! The reasons why a client cannot connect.

pub use redis_connect::AddressError;

use crate::keyspace::KeyspaceError;

/// The reason why a client cannot connect. A Redis that is only down is not one of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name of the keyspace cannot be used.
    #[error(transparent)]
    Keyspace(#[from] KeyspaceError),
    /// The URL, the credentials or the certificates cannot be used. The message does not repeat the URL, because it may
    /// contain a password.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The server may evict the fence table and tag sets, which would make stale reads possible.
    #[error(
        "Redis' maxmemory-policy is `{0}`, which may evict the cache's fence table; set it to `volatile-lru`, another \
         `volatile-*` policy or `noeviction`"
    )]
    EvictionPolicy(String),
    /// The server is older than the scripts require.
    #[error("Redis {0} is too old: at least version 7.0 is needed")]
    Version(String),
    /// The keyspace has another number of partitions than in other processes, or too few for a cluster.
    #[error("{0}; make the keyspace with `Keyspace::partitioned`, with the same number in every process")]
    Partitions(String),
    /// The server is a node of a cluster, and the URL is not that of a cluster.
    #[error("Redis is a node of a cluster, so the URL must begin with `redis-cluster:` or `rediss-cluster:`")]
    ClusterNode,
    /// A setting cannot work; holds a sentence about it.
    #[error("{0}")]
    Settings(&'static str),
    /// A near cache is not available on a cluster.
    #[error("a near cache needs a single Redis, and the URL leads to a cluster; leave `near_bound` unset")]
    NearOnCluster,
    /// The credentials are wrong.
    #[error("Redis refuses the login: {0}")]
    Login(String),
}
