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
//! | `prices` | a change of a product reaches the view, for every writer; all carts, for a consumer that has lost events |
//! | `away` | the product API is down, hangs, and returns |
//! | `floors` | a product API that returns older data than its events report |
//! | `cut_off` | events that cannot be read, or are not appended |
//! | `promise` | no old view after an acknowledged write or an applied event, under load |
//! | `suite` | what every service passes: standard routes, the API's description, hostile clients, access, settings |
//! | `operations` | missed events are fetched with a token; no route shows the id of a cart; entries and metrics |
//! | `outbox` | the events of each change, for every writer |
//! | `database` | a database that is read-only, changed online, or written to by other clients; a COMMIT whose reply is lost |
//! | `standby` | a database that is a standby or read-only |
//! | `replicas` · `redis_down` · `starting` | two processes; no Redis; any order of starts |

mod away;
mod bad_input;
mod carts;
mod cut_off;
mod database;
mod floors;
mod operations;
mod outbox;
mod preconditions;
mod prices;
mod promise;
mod redis_down;
mod replicas;
mod restored;
mod standby;
mod starting;
mod suite;
mod support;
mod tokens;
