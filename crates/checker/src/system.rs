//! Checks of any running system from outside: whether it is idle, whether everything that was committed has arrived, and
//! whether its caches hold what a load would return now.

mod compare;
mod complete;
mod idle;

pub(crate) use compare::{Comparison, compare, forget};
pub(crate) use complete::{System, differing_lines, index_differences, pairs, stream_gaps, versions};
pub(crate) use idle::wait_until_idle;
