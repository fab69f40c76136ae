//! Tests of the product API from outside: over HTTP, on a real Postgres and a real Redis, as a process that receives
//! signals.
//!
//! All tests are one binary, so that it is linked once. Each test has its own database and Redis and leaves nothing
//! behind.
//!
//! | module | subject |
//! |---|---|
//! | `strategies` | the behaviour of each strategy, one file each |
//! | `promise` | no stale read after an acknowledged write, under load |
//! | `overtaken` | a write during a load, or during another write, in a chosen order |
//! | `outbox` | every committed change is published, in order, once; one file per subject |
//! | `stampede` · `redis_down` | many readers at once; Redis is down, hangs, and returns |
//! | `redis_states` | a replica, full or loading Redis, a failed save, a new password: reported, not stale, recovers |
//! | `bad_input` · `conditions` · `validators` · `catalogue` | HTTP: refusals, ETags, the routes without a cache |
//! | `consistency` | a read with the token of a write sees it |
//! | `lists` · `shared_caches` | the products on a list after any write; what other caches may do |
//! | `suite` | what every service passes: standard routes, the API's description, hostile clients, access, settings |
//! | `looking_in` · `feed` · `standard` | `/cache/…`; health without a store; metrics; the operations routes without a token |
//! | `lost_commits` | clients that disconnect before the response; COMMITs whose reply is lost |
//! | `database` | database failures, routine operations on it, other writers, and ids |
//! | `starting` · `stopping` · `data` | settings, signals, migrations and seed |

mod bad_input;
mod catalogue;
mod conditions;
mod consistency;
mod data;
mod database;
mod feed;
mod incarnation;
mod lists;
mod looking_in;
mod lost_commits;
mod outbox;
mod overtaken;
mod promise;
mod redis_down;
mod redis_states;
mod shared_caches;
mod stampede;
mod standard;
mod starting;
mod stopping;
mod strategies;
mod suite;
mod support;
mod traces;
mod uncached_reads;
mod validators;
