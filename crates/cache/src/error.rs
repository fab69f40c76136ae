//! The errors, each of one operation. An unavailable Redis is not an error of a read: reads are slower without it, but
//! never stale.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

pub use crate::codec::CodecError;
pub use crate::keyspace::KeyspaceError;
pub use crate::names::InvalidName;
pub use crate::policy::PolicyError;
pub use crate::redis::{AddressError, ConnectError};

/// A loader's error, shared by all readers that waited for the load.
pub type LoaderError = Arc<dyn Error + Send + Sync>;

/// The reason why a load returned no value.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The loader failed; the caller decides by its error.
    #[error("the load failed: {0}")]
    Loader(LoaderError),
    /// The loaded value cannot be encoded, which is a bug in the program (500).
    #[error("the loaded value cannot be encoded: {0}")]
    Encode(CodecError),
    /// No entry can have this key, or one of the tags that the loader named, which is a bug in the program (500).
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Too many loads are in flight, and no permit became free in time. Shed the request (503).
    #[error("too many loads are under way")]
    Overloaded,
    /// The load exceeded [`Policy::load_timeout`](crate::Policy::load_timeout) and was aborted. Try again later (503).
    #[error("the load took longer than {0:?}")]
    TimedOut(Duration),
    /// The loader panicked, which is a bug in the program (500).
    #[error("the loader panicked")]
    Panicked,
    /// The load's task was aborted, because the client is shutting down.
    #[error("the load was aborted")]
    Aborted,
}

/// The reason why [`Cache::get_or_load`](crate::Cache::get_or_load) returned no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The value was not in the cache, and the load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The bytes that the loader returned ([`NewEntry::raw`](crate::NewEntry::raw)) do not encode the cache's type.
    #[error("the loaded value cannot be decoded: {0}")]
    Decode(#[from] CodecError),
}

/// The reason why a cache cannot be created.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCache {
    /// The name of a cache is a part of its keys.
    #[error("`{0}` cannot be the name of a cache: a name has 1 to 64 of the characters a-z, 0-9, `-` and `_`")]
    Name(String),
    /// A near cache needs [`CacheSettings::near_bound`](crate::CacheSettings::near_bound), and a bound within it.
    #[error("the near cache's bound must be between 10 ms and near_bound ({longest:?}), not {bound:?}")]
    NearBound {
        /// The bound of the policy.
        bound: Duration,
        /// The longest bound in the keyspace; zero if near caches are off.
        longest: Duration,
    },
    /// The policy contradicts itself.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl LoadError {
    /// Returns the loader's error, if it is of type `E`.
    pub fn loader_error<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Loader(error) => error.downcast_ref(),
            Self::Encode(_) | Self::Name(_) | Self::Overloaded | Self::TimedOut(_) | Self::Panicked | Self::Aborted => {
                None
            }
        }
    }

    /// Returns whether the cause is a bug in the program, and not its load or its database (500 instead of 503).
    pub fn is_bug(&self) -> bool {
        matches!(self, Self::Encode(_) | Self::Name(_) | Self::Panicked)
    }
}

/// Redis has not carried out an invalidation yet. The write that it follows is committed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis did not acknowledge an invalidation; it is retried until it does")]
pub struct Deferred;
