//! The outbox, the relay and the stream: every committed change is announced, in order, once, whatever happens.
//!
//! | module | what is tested |
//! |---|---|
//! | `announced` | who is announced, with which words; who is not |
//! | `order` | numbers without holes, under concurrent writers, several relays and crashes |
//! | `redis_away` | Redis that is down, hangs, comes back empty, older or as somebody else's |
//! | `redis_full` | Redis without memory, filled by others or by caches |
//! | `postgres_away` | lost notifications, lost connections, a Postgres that is killed |
//! | `caches` | what a change by psql does to the lanes that live by events |
//! | `killed_writer` | a writer that dies before its invalidation is acknowledged |
//! | `outages` | what is logged and reported while the relay cannot go on; one event that cannot be carried out |
//! | `log` | `GET /events` and `GET /products?ids=` |
//! | `bounds` | retention, and the length of the stream |

mod announced;
mod bounds;
mod caches;
mod killed_writer;
mod log;
mod order;
mod outages;
mod postgres_away;
mod redis_away;
mod redis_full;
mod restored;
