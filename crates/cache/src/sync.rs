//! The synchronisation primitives whose order of steps matters.
//!
//! In the crate's own tests they are those of shuttle, which chooses that order: such a test runs within
//! `shuttle::check_…`. Code built without `cfg(test)`, including for the integration tests, uses those of the standard
//! library.

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

/// Runs a test for which any one order is enough.
#[cfg(test)]
pub(crate) fn in_any_order(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, 1);
}
