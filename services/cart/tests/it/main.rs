//! Tests of the cart from outside: over HTTP, on a real Postgres and a real Redis, with a real product API or one that
//! misbehaves on purpose.
//!
//! All tests are one binary, so that it is linked once. Each test has its own databases and Redis and leaves nothing
//! behind.
//!
//! | module | subject |
//! |---|---|
//! | `carts` · `bad_input` | HTTP: the routes of a cart, and refusals |
//! | `preconditions` | `If-Match` and `If-None-Match` on a line; the view's `ETag` |
//! | `prices` | a change of a product reaches the view, for every writer |
//! | `away` | the product API is down, hangs, and returns |
//! | `floors` | a product API that returns older data than its events report |
//! | `cut_off` | events that cannot be read, or are not appended |
//! | `snapshot` | all carts, for a consumer that has lost events |
//! | `promise` | no old view after an acknowledged write or an applied event, under load |
//! | `operations` | the token of the operations routes; no route shows the id of a cart |
//! | `outbox` | the events of each change, for every writer |
//! | `database` | a database that is read-only, changed online, or written to by other clients |
//! | `sessions` · `standby` | settings of the database's role; a database that is a standby or read-only |
//! | `lost_commits` | a COMMIT whose reply is lost |
//! | `replicas` · `redis_down` · `starting` · `standard` | two processes; no Redis; any order of starts; health, docs |

mod away;
mod bad_input;
mod carts;
mod cut_off;
mod database;
mod floors;
mod hostile;
mod lost_commits;
mod operations;
mod outbox;
mod preconditions;
mod prices;
mod promise;
mod redis_down;
mod replicas;
mod restored;
mod sessions;
mod snapshot;
mod standard;
mod standby;
mod starting;
mod support;
