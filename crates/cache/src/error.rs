//! What a fetch can fail with. Redis is not among the reasons: without it, reads are slower, not wrong.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// A loader's error, shared by all readers that waited for the load.
pub type LoaderError = Arc<dyn Error + Send + Sync>;

/// Why there is no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GetError {
    /// The loader failed: decide by its error.
    #[error("the load failed: {0}")]
    Load(LoaderError),
    /// Too many loads are under way, and no place became free in time: shed the request (503).
    #[error("too many loads are under way")]
    Overloaded,
    /// The load took longer than [`Policy::load_timeout`](crate::Policy::load_timeout) allows, and was given up: try again
    /// later (503).
    #[error("the load took longer than {0:?}")]
    TimedOut(Duration),
    /// The loader panicked: a fault of the program (500).
    #[error("the loader panicked")]
    Panicked,
    /// The load's task was ended, because the cache is shutting down.
    #[error("the load was aborted")]
    Aborted,
}

impl GetError {
    /// The loader's error, where it is one of type `E`.
    pub fn loader_error<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Load(error) => error.downcast_ref(),
            Self::Overloaded | Self::TimedOut(_) | Self::Panicked | Self::Aborted => None,
        }
    }
}
