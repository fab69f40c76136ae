//! For tests, the checker, benchmarks and proofs only: real servers that are private to the process which started them.
//!
//! * [`Postgres`] and [`Redis`] run on a free loopback port in a temporary directory; they can be killed, frozen and
//!   restarted.
//! * [`Proxy`] is a proxy for one of them, which can hold, delay or cut connections.
//! * [`CommitFaultProxy`] is a proxy for a Postgres database that loses a COMMIT or its reply.
//! * [`private_system`] runs all four services and their stores as private processes.
//! * [`ChildProcess`] runs one of the project's binaries in the same way and waits until it responds; [`http::Service`]
//!   is a binary that serves HTTP.
//! * [`eventually`] polls a condition in a test, with a time limit.
//!
//! # Guarantees
//! However the process ends (it returns, panics, or receives Ctrl-C or `kill -9`), its servers and their directories
//! are gone within two seconds. Each server is the child of a small shell script that reads commands of the test from a
//! pipe; when the pipe closes, the script kills the server and removes the directory (`supervisor.sh`).
//!
//! # Limitations
//! This crate works only on Linux, because it reads `/proc`. Killing the shell script itself leaves its server running.
//!
//! # Example
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let redis = testkit::Redis::start().await?;
//! let database = testkit::shared_database().await;    // of a server that all tests of this binary share
//! redis.cli(&["SET", "greeting", "hello"]).await?;
//! redis.pause();                                      // it hangs …
//! redis.resume();                                     // … and answers again
//! redis.restart().await?;                             // same port, nothing in it
//! assert_eq!(redis.cli(&["GET", "greeting"]).await?, "");
//! # Ok(()) }
//! ```
//! By hand: `cargo run -p testkit --bin testkit-hold` starts one of each and prints where they are, until Ctrl-D.

mod commits;
mod eventually;
pub mod http;
pub mod imports;
mod ports;
mod postgres;
pub mod private_system;
mod process;
mod proxy;
mod redis;
mod sibling;
mod stores;
pub mod suite;
mod supervisor;
mod tools;

pub use commits::{CommitFault, CommitFaultProxy};
pub use eventually::{PollResult, eventually};
pub use ports::free_port;
pub use postgres::{Database, FOREIGN_SETTINGS, HeldLock, Postgres, shared_database};
pub use process::{ChildProcess, Exit};
pub use proxy::Proxy;
pub use redis::Redis;
pub use sibling::sibling;
pub use stores::{Stores, service_command};
