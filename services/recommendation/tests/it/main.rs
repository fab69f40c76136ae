//! The recommendation from outside: over HTTP, on a real Postgres and a real Redis, beside a real product API.
//!
//! One binary, so that it is linked once. Each test has databases and a Redis of its own and leaves nothing behind.
//!
//! | module | what is tested |
//! |---|---|
//! | `lists` | what is recommended, and what never is |
//! | `together` | what is learned from carts |
//! | `changes` | a change of a product reaches the lists, whoever made it; what does not concern a list leaves it |
//! | `rows` | answers and events in any order, and more than once |
//! | `poison` | events that cannot be used |
//! | `away` | the product API or Redis is away, and comes back |
//! | `cut_off` | events that cannot be read |
//! | `sessions` · `standby` | settings of the database's role; a database that is a standby or read-only |
//! | `rebuilt` | baskets after the loss of events about carts |
//! | `replicas` · `starting` · `bad_input` · `standard` | two of them; any order of starts; HTTP; health, docs |

mod away;
mod bad_input;
mod changes;
mod cut_off;
mod hostile;
mod lists;
mod operations;
mod poison;
mod rebuilt;
mod replicas;
mod restored;
mod rows;
mod sessions;
mod standard;
mod standby;
mod starting;
mod support;
mod together;
