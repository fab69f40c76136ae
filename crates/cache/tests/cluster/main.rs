//! On a cluster of three primaries and three replicas: the tests that need no server of a particular kind, those that look at
//! what Redis holds, and what only a cluster has.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

#[path = "../it/both/mod.rs"]
mod both;
mod deferrals;
mod many;
mod partitions;
mod purges;
#[path = "../it/stored/mod.rs"]
mod stored;
mod support;
mod tls;
mod topology;
