#![doc = include_str!("../README.md")]

mod backoff;
pub mod consumer;
mod event;
mod event_span;
pub mod log;
mod recurring_failure;
mod redis;
pub mod relay;
pub mod transaction;

pub use backoff::Backoff;
pub use event::{Event, EventData, EventSource, SCHEMA, Unreadable};
pub use event_span::{EventWork, in_traces, mark_failed};
pub use recurring_failure::RecurringFailure;
pub use redis_connect::RedisAddress;
