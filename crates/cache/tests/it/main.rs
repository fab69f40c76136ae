//! The cache's promises, each against a private Redis: the race that would break it, and the defence that stops it.
//!
//! A test steps through a race by hand. The database is a [`Row`](support::Row) with a version; a *gated* load of it
//! begins and ends when the test says so; a [`Node`](support::Node) stands for a process. What cannot be stepped
//! (a Redis that hangs, replies that are late) is done to the server by signals, or to the wire by a proxy.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod batches;
mod bulkhead;
mod connecting;
mod declined;
mod failing_loads;
mod feed;
mod fills;
mod foreign_bytes;
mod generations;
mod joining;
mod key_older_than;
mod memory;
mod negative;
mod partitions;
mod peers;
mod redis_down;
mod refreshing;
mod registry;
mod repairs;
mod shared_reads;
mod soft;
mod stopping;
mod stress;
mod support;
mod tag_sets;
mod time_limits;
mod ttl;
mod whole_keyspace;
mod write_through;
