//! Integration tests of the recommendation service over HTTP, with a real product API, Postgres and Redis.
//!
//! All tests are in one binary, so that it is linked once. Each test has its own databases and Redis, and removes them.
//!
//! | module | what is tested |
//! |---|---|
//! | `lists` | which products are recommended, and which never are |
//! | `together` | learning from carts |
//! | `changes` | a change of a product reaches the lists; other changes leave them in the cache |
//! | `rows` | responses and events in any order, and more than once |
//! | `poison` | events that cannot be applied |
//! | `away` | the product API or Redis is unavailable, and returns |
//! | `cut_off` | events that cannot be read |
//! | `sessions` · `standby` | sessions of other programs; a database that is a standby or read-only |
//! | `rebuilt` · `restored` | baskets after the loss of events about carts; restored databases |
//! | `replicas` · `starting` | two replicas; any order of starts |
//! | `suite` | what every service passes: standard routes, the API's description, hostile clients, access, settings |
//! | `bad_input` | invalid requests |
//! | `operations` · `standard` | no route shows the id of a cart; entries and metrics |

mod away;
mod bad_input;
mod changes;
mod cut_off;
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
mod suite;
mod support;
mod together;
