#![doc = include_str!("../README.md")]

mod cache_feed;
pub mod cache_routes;
pub mod caching;
pub mod consistency;
pub mod docs;
pub mod events;
pub mod health;
pub mod healthcheck;
mod host;
pub mod http_metrics;
mod incarnation;
pub mod limits;
pub mod loads;
pub mod operations;
pub mod outbox_routes;
pub mod policy_settings;
pub mod problem;
pub mod process;
pub mod products_after;
mod redacted;
mod request_span;
pub mod response;
pub mod response_middleware;
mod run;
pub mod server;
pub mod settings;
mod standard_routes;
pub mod telemetry;

pub use incarnation::IncarnationSettings;
pub use run::{Service, StartContext, shut_down_cache};
pub use standard_routes::StandardRoutes;
