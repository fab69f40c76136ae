//! The primitives of which the order of steps matters. A test can put others in their place that choose that order.

#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::{Mutex, atomic::AtomicU32};

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{Mutex, atomic::AtomicU32};
