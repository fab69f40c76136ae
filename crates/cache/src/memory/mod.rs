//! The cache in the memory of one program, without Redis: for tests, and for programs that run as a single process.
//!
//! ```
//! use std::time::Duration;
//!
//! use cache::memory::{Clock, Memory};
//! use cache::{CacheClient, Keyspace, Policy};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Clock::manual();
//! let memory = Memory::new().with_clock(clock.clone());
//! let client = CacheClient::in_memory(Keyspace::new("blog")?, &memory);
//! let posts = client.cache::<String>("post", Policy::ttl(Duration::from_secs(60)))?;
//! let load = |title: &'static str| move || async move { Ok::<_, std::io::Error>(title.to_owned()) };
//!
//! assert_eq!(posts.get_or_load(42, load("Leases")).await?.as_deref(), Some("Leases"));
//! assert_eq!(posts.get_or_load(42, load("Fences")).await?.as_deref(), Some("Leases"), "a hit");
//! clock.advance(Duration::from_secs(61));
//! assert_eq!(posts.get_or_load(42, load("Fences")).await?.as_deref(), Some("Fences"), "the TTL is over");
//! # Ok(()) }
//! ```
//!
//! A [`Memory`] replaces a Redis server: clients that share it behave like processes that share one Redis, with the
//! same leases, fences, tags and guards, and the promises of
//! [`CacheClient::invalidate`](crate::CacheClient::invalidate). It differs in this: no entry survives the program, the
//! entries that end first are removed when others do not fit any more, and [`Near`](crate::Near) has no effect, because
//! every hit is from memory.

mod clock;
mod data;
mod entries;
mod handle;
mod store;

pub use clock::Clock;
pub use handle::Memory;
#[cfg(feature = "faults")]
pub use handle::{Fault, Snapshot};
pub(crate) use store::MemoryStore;
