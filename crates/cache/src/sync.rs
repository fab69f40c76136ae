//! The primitives of which the order of steps matters.
//!
//! In the crate's own tests they are shuttle's, which chooses that order: such a test runs within `shuttle::check_…`. What is
//! built without `cfg(test)`, the integration tests included, has those of the standard library.

#[cfg(not(test))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, AtomicUsize},
};

#[cfg(test)]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, AtomicUsize},
};

/// Runs a test for which any order will do.
#[cfg(test)]
pub(crate) fn in_any_order(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, 1);
}
