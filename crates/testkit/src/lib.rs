#![doc = include_str!("../README.md")]

#[cfg(feature = "collector")]
pub mod collector;
mod eventually;
pub mod http;
pub mod imports;
mod ports;
mod postgres;
mod postgres_proxy;
#[cfg(feature = "stack")]
pub mod private_system;
mod process;
mod proxy;
mod redis;
mod server;
mod sibling;
#[cfg(feature = "stack")]
mod stores;
#[cfg(feature = "stack")]
pub mod suite;
mod supervisor;

pub use eventually::{PollResult, SOON, eventually};
pub use ports::free_port;
pub use postgres::{Database, FOREIGN_SETTINGS, HeldLock, Postgres, shared_database};
pub use postgres_proxy::{PostgresFault, PostgresProxy};
pub use process::{ChildProcess, Exit};
pub use proxy::Proxy;
pub use redis::{Certificates, Redis, RedisCluster, Sentinels, Transport};
pub use server::PrivateServer;
pub use sibling::sibling;
#[cfg(feature = "stack")]
pub use stores::{Stores, service_command};
