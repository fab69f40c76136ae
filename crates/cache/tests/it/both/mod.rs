//! The tests that need no server of a particular kind. They run on Redis here, and once more on a cluster
//! (`tests/cluster`) and in the memory of the program (`tests/memory`).

pub(crate) mod batches;
pub(crate) mod declined;
pub(crate) mod early_refresh;
pub(crate) mod entries;
pub(crate) mod failing_loads;
pub(crate) mod fallback;
pub(crate) mod feed;
pub(crate) mod fills;
pub(crate) mod joining;
pub(crate) mod key_older_than;
pub(crate) mod many;
pub(crate) mod negative;
pub(crate) mod refreshing;
pub(crate) mod requiring;
pub(crate) mod soft;
pub(crate) mod stopping;
pub(crate) mod tag_sets;
pub(crate) mod tags_together;
pub(crate) mod time_limits;
pub(crate) mod ttl;
pub(crate) mod values;
pub(crate) mod whole_keyspace;
pub(crate) mod write_guard;
pub(crate) mod write_through;
