//! The tests that look at what Redis holds, or change it, as with `redis-cli`. They run on one Redis here, and once more on a
//! cluster (`tests/cluster`).

mod declined;
mod entries;
mod failing_loads;
mod fallback;
mod fills;
mod foreign_bytes;
mod generations;
mod key_older_than;
mod negative;
mod peers;
mod refreshing;
mod registry;
mod soft;
mod stress;
mod tag_sets;
mod ttl;
mod write_through;
