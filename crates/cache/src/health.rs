//! The state of Redis as the client knows it, with the reason if it is not healthy.
//!
//! The client does not use Redis in a state in which a read could be stale: while Redis refuses invalidations, no
//! process can tell the others that an entry is outdated. The probe runs twice a second, so a state ends soon
//! after its cause is gone ([`redis/probe.rs`](../src/redis/probe.rs), ADR 17).

use std::fmt;

/// Whether Redis is in use, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Redis is in use, with every protection.
    Up,
    /// Redis is in use, but it refuses some commands, or a protection is missing.
    Degraded(Reason),
    /// the cache does not use Redis; reads go to the database and invalidations are deferred.
    Down(Reason),
}

/// A problem with Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Redis does not answer.
    NoAnswer,
    /// Redis refuses the user or the password; holds the reply of Redis.
    Login(String),
    /// Redis accepts no further connection (`maxclients`).
    TooManyClients,
    /// Redis runs a script or a function for so long that it answers nothing else.
    Busy,
    /// Redis is loading its dataset.
    Loading,
    /// Redis is a replica.
    Replica,
    /// Redis refuses writes, because it could not write its dataset to disk.
    SaveFailed,
    /// Redis refuses writes, because too few replicas follow it.
    TooFewReplicas,
    /// Redis may evict the fence table and the tag sets; holds its `maxmemory-policy`.
    EvictionPolicy(String),
    /// Redis is too old; holds its version.
    Version(String),
    /// The keyspace has another number of partitions than in other processes, or too few for the cluster; holds both numbers.
    Partitions(String),
    /// Redis is a node of a cluster, and the URL is not that of a cluster.
    ClusterNode,
    /// The source of truth does not trust this Redis now ([`incarnation`](crate::incarnation)); holds the reason.
    Incarnation(&'static str),
    /// Redis has reached its `maxmemory` and evicts nothing.
    Full,
    /// Redis refuses something to this user; holds what, such as ``the command `evalsha` ``.
    Forbidden(String),
    /// Redis refuses `INFO`, or `INFO` shows none of the fields that the client needs.
    NoInfo,
    /// `INFO` shows no `run_id`.
    NoRunId,
    /// `INFO` shows no `maxmemory_policy`.
    NoEvictionPolicy,
}

impl Health {
    /// Returns whether reads may be answered from Redis.
    pub fn is_in_use(&self) -> bool {
        !matches!(self, Self::Down(_))
    }

    /// Returns the problem, if there is one.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Up => None,
            Self::Degraded(reason) | Self::Down(reason) => Some(reason),
        }
    }
}

impl Reason {
    /// Returns whether this problem keeps the client from using Redis.
    pub(crate) fn forbids_use(&self) -> bool {
        match self {
            Self::Full | Self::Forbidden(_) | Self::NoInfo | Self::NoRunId | Self::NoEvictionPolicy => false,
            Self::NoAnswer
            | Self::Login(_)
            | Self::TooManyClients
            | Self::Busy
            | Self::Loading
            | Self::Replica
            | Self::SaveFailed
            | Self::TooFewReplicas
            | Self::EvictionPolicy(_)
            | Self::Version(_)
            | Self::Partitions(_)
            | Self::ClusterNode
            | Self::Incarnation(_) => true,
        }
    }

    /// Returns whether entries may be outdated when this state is over: Redis refused the invalidations of other
    /// processes, its dataset may be an older one, or it may have evicted a tag set.
    pub(crate) fn makes_entries_suspect(&self) -> bool {
        match self {
            Self::Loading | Self::Replica | Self::SaveFailed | Self::TooFewReplicas | Self::EvictionPolicy(_) => true,
            Self::NoAnswer
            | Self::Login(_)
            | Self::TooManyClients
            | Self::Busy
            | Self::Version(_)
            | Self::Partitions(_)
            | Self::ClusterNode
            | Self::Incarnation(_)
            | Self::Full
            | Self::Forbidden(_)
            | Self::NoInfo
            | Self::NoRunId
            | Self::NoEvictionPolicy => false,
        }
    }

    /// Returns whether the state lasts until a person changes a setting.
    pub(crate) fn needs_operator(&self) -> bool {
        matches!(
            self,
            Self::Login(_) | Self::EvictionPolicy(_) | Self::Version(_) | Self::Partitions(_) | Self::ClusterNode
        )
    }
}

impl fmt::Display for Reason {
    /// Safe to show publicly: it repeats no address and no user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("Redis does not answer; the cache is not in use"),
            Self::Login(said) => {
                let code = said.split_whitespace().next().unwrap_or("no reason given");
                write!(f, "Redis refuses the user or the password ({code}); the cache is not in use")
            }
            Self::TooManyClients => {
                f.write_str("Redis has reached maxclients and accepts no connection; the cache is not in use")
            }
            Self::Busy => f.write_str(
                "Redis runs a script or a function and answers nothing else (BUSY); the cache is not in use",
            ),
            Self::Loading => f.write_str("Redis is loading its dataset (LOADING); the cache is not in use"),
            Self::Replica => f.write_str(
                "Redis is a read-only replica (READONLY), so entries cannot be invalidated; the cache is not in use",
            ),
            Self::SaveFailed => f.write_str(
                "Redis refuses writes because it could not save its dataset (MISCONF), so entries cannot be \
                 invalidated; the cache is not in use",
            ),
            Self::TooFewReplicas => f.write_str(
                "Redis refuses writes because too few replicas follow it (NOREPLICAS), so entries cannot be \
                 invalidated; the cache is not in use",
            ),
            Self::EvictionPolicy(policy) => write!(
                f,
                "Redis' maxmemory-policy is {policy}, which may evict the cache's fence table; set it to volatile-lru, \
                 another volatile-* policy or noeviction; the cache is not in use"
            ),
            Self::Version(version) => {
                write!(f, "Redis {version} is too old, at least version 7.0 is needed; the cache is not in use")
            }
            Self::Partitions(text) => write!(f, "{text}; the cache is not in use"),
            Self::ClusterNode => f.write_str(
                "Redis is a node of a cluster, so the URL must begin with redis-cluster:; the cache is not in use",
            ),
            Self::Incarnation(text) => write!(f, "{text}; the cache is not in use"),
            Self::Full => f.write_str("Redis has reached maxmemory (OOM); no further entries are stored"),
            Self::Forbidden(what) => {
                write!(f, "Redis refuses {what} to this user (NOPERM); operations that need it fail")
            }
            Self::NoInfo => f.write_str(
                "INFO is refused or shows neither run_id nor maxmemory_policy: a restart with older data is recognised \
                 only by the new connection, which empties the keyspace, and eviction of the fence table by an \
                 allkeys-* policy is not recognised",
            ),
            Self::NoRunId => f.write_str(
                "INFO shows no run_id: a restart with older data is recognised only by the new connection, which \
                 empties the keyspace, and not at all while this process does not run",
            ),
            Self::NoEvictionPolicy => f.write_str(
                "INFO shows no maxmemory_policy: eviction of the fence table by an allkeys-* policy is not recognised",
            ),
        }
    }
}
