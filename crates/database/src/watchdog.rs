//! The observed state of one connection, beyond the state that diesel provides.

mod frames;
mod generation;
mod state;
mod watched;

pub(crate) use generation::Generation;
pub(crate) use state::{ConnectionState, ServerError};
pub(crate) use watched::WatchedStream;
