//! Tests of the parts that every service has, over HTTP on a free port of this process.
//!
//! All tests are one binary, so that it is linked once. Tests of state that belongs to the whole process have binaries
//! of their own: `failures_are_logged` and `telemetry` (the subscriber and the recorder), and `signals`.
//!
//! | module | subject |
//! |---|---|
//! | `lifecycle` | readiness, draining, shutdown |
//! | `parser` · `slow_clients` | requests that the HTTP parser refuses; clients that are slow, and too many of them |
//! | `problems` · `response_middleware` · `compression` | errors; what every response has; compressed responses |
//! | `standard_routes` · `description` | the description of the API: as a page, and what is added to it for every route |
//! | `products_after` | rows that are older than an event about them |
//! | `postgres_access` | statements that lack a permission or a table |
//! | `consistency` | reads with a consistency token |
//! | `feed` | `/cache/feed` |
//! | `settings` | which settings are accepted and refused |
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod compression;
mod consistency;
mod description;
mod feed;
mod lifecycle;
mod parser;
mod postgres_access;
mod problems;
mod products_after;
mod response_middleware;
mod settings;
mod slow_clients;
mod standard_routes;
mod support;
