#![doc = include_str!("../README.md")]

mod backoff;
pub mod consumer;
mod event;
pub mod log;
mod recurring_failure;
mod redis;
pub mod relay;

pub use backoff::Backoff;
pub use event::{Event, EventData, EventSource, SCHEMA, Unreadable};
pub use recurring_failure::RecurringFailure;
pub use redis_connect::RedisAddress;
