//! The cart from outside: over HTTP, on a real Postgres and a real Redis, beside a real product API or one that
//! misbehaves on purpose.
//!
//! One binary, so that it is linked once. Each test has databases and a Redis of its own and leaves nothing behind.
//!
//! | module | what is tested |
//! |---|---|
//! | `carts` · `bad_input` | HTTP: what a cart does, what it refuses |
//! | `preconditions` | `If-Match` and `If-None-Match` on a line; the view's `ETag` |
//! | `prices` | a change of a product reaches the view, whoever made it |
//! | `away` | the product API is away, hangs, and comes back |
//! | `floors` | a product API that answers with older facts than its events told of |
//! | `cut_off` | events that cannot be read, or are not appended |
//! | `snapshot` | all carts, for a consumer that has lost events |
//! | `promise` | no old view after an acknowledged write or a carried out event, under load |
//! | `operations` | the token of the operations routes; nothing shows the id of a cart |
//! | `outbox` | what is announced, whoever wrote it |
//! | `database` | a database that is read-only, changed online, written to by others |
//! | `sessions` · `standby` | settings of the database's role; a database that is a standby or read-only |
//! | `lost_commits` | a COMMIT whose reply is lost |
//! | `replicas` · `redis_down` · `starting` · `standard` | two of them; no Redis; any order of starts; health, docs |

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
