//! The promises of the cache, each tested against a private Redis: the race that would break it, and the defence
//! against it.
//!
//! A test steps through a race by hand. The database is a [`Row`](support::Row) with a version. A *gated* load of it
//! begins and ends when the test says so. A [`Node`](support::Node) stands for a process. What cannot be stepped (a
//! Redis that hangs, replies that are late) is done by signals to the server, or by a proxy on the connection.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod both;
mod bulkhead;
mod connecting;
mod entries;
mod examples;
mod feed;
mod fills;
mod foreign_bytes;
mod incarnations;
mod joining;
mod many;
mod memory;
mod names;
mod near;
mod near_limits;
mod near_outage;
mod partitions;
mod pipelined_reads;
mod reaching;
mod redis_down;
mod refreshing;
mod registry;
mod repairs;
mod requiring;
mod sentinels;
mod stopping;
mod stored;
mod support;
mod tag_sets;
mod time_limits;
mod ttl;
mod values;
mod whole_keyspace;
mod write_guard;
mod write_through;
