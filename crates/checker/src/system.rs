//! Checks of any running system from outside: whether it is idle, whether everything that was committed has arrived, and
//! whether its caches hold what a load would return now.

mod access;
mod compare;
mod complete;
mod entries;
mod idle;

pub(crate) use access::{System, pairs};
pub(crate) use compare::{Comparison, compare};
pub(crate) use complete::{differing_lines, index_differences, stream_gaps, versions};
pub(crate) use entries::forget;
pub(crate) use idle::wait_until_idle;
