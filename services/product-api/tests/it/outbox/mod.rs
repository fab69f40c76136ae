//! The outbox, the relay and the stream: every committed change is published, in order, once, after any failure.
//!
//! | module | subject |
//! |---|---|
//! | `announced` | which changes cause an event, and its content |
//! | `order` | numbers without holes, under concurrent writers, several relays and crashes |
//! | `redis_away` | Redis that is down, hangs, is full, or returns empty, older or with foreign data |
//! | `postgres_away` | lost notifications, lost connections, a Postgres that is killed |
//! | `failover` | sentinels, and a new primary that has missed events |
//! | `caches` | the effect of a change made in psql on the caches that depend on events |
//! | `killed_writer` | a writer that dies before its invalidation is acknowledged |
//! | `outages` | logs and readiness while the relay is blocked; one event that cannot be applied |
//! | `log` | `GET /events` and `GET /products?ids=`, retention, and the length of the stream |

mod announced;
mod caches;
mod failover;
mod killed_writer;
mod log;
mod order;
mod outages;
mod postgres_away;
mod redis_away;
mod restored;
