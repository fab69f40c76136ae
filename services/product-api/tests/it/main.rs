//! The product API from outside: over HTTP, on a real Postgres and a real Redis, as a process with signals.
//!
//! One binary, so that it is linked once. Each test has a database and a Redis of its own and leaves nothing behind.
//!
//! | module | what is tested |
//! |---|---|
//! | `strategies` | each strategy's own behaviour, a file each |
//! | `promise` | no stale read after an acknowledged write, under load |
//! | `outbox` | every committed change is announced, in order, once; a file each for who, how, and what may fail |
//! | `stampede` · `redis_down` | many readers at once; no Redis, a hung one, and its return |
//! | `redis_states` | a replica, a full or loading Redis, a failed save, a changed password: named, not stale, over by itself |
//! | `bad_input` · `conditions` · `validators` · `catalogue` | HTTP: refusals, ETags, the routes without a cache |
//! | `lists` · `shared_caches` | who is on a list after any write; what other caches may do |
//! | `looking_in` · `feed` · `standard` | `/cache/…`; health, metrics, the API's description |
//! | `operations` | the token of the operations routes |
//! | `hanging_up` · `lost_commits` | clients that do not wait for their answer; COMMITs whose reply is lost |
//! | `database` | database failures, routine operations on it, whoever writes to it, and ids |
//! | `starting` · `stopping` · `data` | settings, signals, migrations and seed |

mod bad_input;
mod catalogue;
mod conditions;
mod data;
mod database;
mod feed;
mod hanging_up;
mod hostile;
mod lists;
mod looking_in;
mod lost_commits;
mod operations;
mod outbox;
mod promise;
mod redis_down;
mod redis_states;
mod shared_caches;
mod stampede;
mod standard;
mod starting;
mod stopping;
mod strategies;
mod support;
mod validators;
