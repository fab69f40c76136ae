#![doc = include_str!("../README.md")]

mod backoff;
pub mod consumer;
mod event;
pub mod log;
mod recurring_failure;
mod redis;
pub mod relay;
mod source;

pub use backoff::Backoff;
pub use event::{Event, EventData, SCHEMA, Unreadable};
pub use recurring_failure::RecurringFailure;
pub use redis::{RedisUrlError, reconnect_when_silent};
pub use source::EventSource;
