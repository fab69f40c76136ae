//! For tests, demos and benchmarks only: real servers that are private to the process which started them.
//!
//! * [`Postgres`] and [`Redis`] run on a free loopback port in a temporary directory; they can be killed, frozen and
//!   restarted.
//! * [`Proxy`] is a wire to one of them, which can be held up, slowed down or cut.
//! * [`CommitFaultProxy`] is a wire to a Postgres database on which a COMMIT, or its reply, is lost.
//! * [`ChildProcess`] runs one of our own binaries the same way and waits until it answers; [`http::Service`] is one that serves.
//! * [`eventually`] is how a test waits: until something is true, at most so long.
//!
//! # What it promises
//! However the process ends (it returns, panics, gets Ctrl-C or `kill -9`), within two seconds its servers are gone and
//! so are their directories. Each server is the child of a small shell script which reads the test's orders from a
//! pipe; when the pipe closes, the script kills the server and removes the directory (`supervisor.sh`).
//!
//! # What can still go wrong
//! It is for Linux: it looks into `/proc`. Killing the shell script itself leaves its server behind.
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
//! By hand: `cargo run -p testkit --bin testkit-hold` starts one of each and says where they are, until Ctrl-D.

mod commits;
mod eventually;
pub mod http;
mod ports;
mod postgres;
mod process;
mod proxy;
mod redis;
mod sibling;
mod supervisor;
mod tools;

pub use commits::{CommitFault, CommitFaultProxy};
pub use eventually::{PollResult, eventually};
pub use ports::free_port;
pub use postgres::{FOREIGN_SETTINGS, Postgres, shared_database};
pub use process::{ChildProcess, Exit};
pub use proxy::Proxy;
pub use redis::Redis;
pub use sibling::sibling;
