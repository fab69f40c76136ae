//! Narrated demos, one per strategy, and live load, on the running stack.
//!
//! | file | is |
//! |---|---|
//! | `show.rs`, `options.rs` | runs the demos |
//! | `ttl.rs` … `production.rs`, `other_strategy.rs` | the demos, one strategy each, and that of a strategy without its own |
//! | `context.rs` | the context of a demo |
//! | `all_services.rs` | the second half of `events.rs`: one write in the caches of all services |
//! | `product_api.rs`, `demo_product.rs`, `readers.rs`, `stack.rs` | the API, one product, many readers of it, and the script that runs the stack |
//! | `other_services.rs` | the responses and entries of the other services that show a product |
//! | `narrate.rs`, `claim.rs`, `table.rs` | what is printed and asserted |
//! | `list.rs` | the list of the strategies, in the README too |
//! | `load.rs` | load that runs until it is stopped, with live figures |

mod all_services;
mod claim;
mod context;
mod demo_product;
mod events;
mod explicit;
pub mod list;
pub mod load;
mod narrate;
mod options;
mod other_services;
mod other_strategy;
mod paint;
mod product_api;
mod production;
mod readers;
pub mod show;
mod stack;
mod swr;
mod table;
mod tags;
mod ttl;
mod writethrough;

pub use options::Options;
pub use other_services::Addresses;
