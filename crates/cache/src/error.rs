//! The errors of a read. An unavailable Redis is not one of them: reads are slower without it, but never stale.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// A loader's error, shared by all readers that waited for the load.
pub type LoaderError = Arc<dyn Error + Send + Sync>;

/// The reason why a read returned no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GetError {
    /// The loader failed; the caller decides by its error.
    #[error("the load failed: {0}")]
    Load(LoaderError),
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

impl GetError {
    /// Returns the loader's error, if it is of type `E`.
    pub fn loader_error<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Load(error) => error.downcast_ref(),
            Self::Overloaded | Self::TimedOut(_) | Self::Panicked | Self::Aborted => None,
        }
    }
}
