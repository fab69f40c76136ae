//! Integration tests of the recommendation service over HTTP, with a real product API, Postgres and Redis.
//!
//! All tests are in one binary, so that it is linked once. Each test has its own databases and Redis, and removes them.
//!
//! | module | what is tested |
//! |---|---|
//! | `lists` | which products are recommended, and which never are; invalid requests |
//! | `together` | learning from carts |
//! | `changes` | a change of a product reaches the lists; other changes leave them in the cache |
//! | `rows` | responses and events in any order, and more than once; sessions of other programs |
//! | `poison` | events that cannot be applied or read |
//! | `away` | the product API or Redis is unavailable, and returns |
//! | `standby` | a database that is a standby or read-only |
//! | `rebuilt` · `restored` | baskets after the loss of events about carts; restored databases |
//! | `replicas` · `starting` | two replicas; any order of starts |
//! | `suite` | what every service passes: standard routes, the API's description, hostile clients, access, settings |
//! | `standard` | no route shows the id of a cart; entries and metrics |

mod away;
mod changes;
mod lists;
mod poison;
mod rebuilt;
mod replicas;
mod restored;
mod rows;
mod standard;
mod standby;
mod starting;
mod suite;
mod support;
mod together;
mod tokens;
