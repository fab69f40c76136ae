#![doc = include_str!("../README.md")]

mod cart;
pub mod cart_snapshot;
mod consistency;
mod freshness;
mod ids;
mod product;
pub mod product_api;
mod strategies;

pub use cart::{CartChange, CartChangeKind};
pub use consistency::ConsistencyToken;
pub use freshness::Freshness;
pub use ids::{CartId, CategoryId, InvalidId, ProductId, cart_reference};
pub use product::{ProductChange, ProductChangeKind};
pub use strategies::{STRATEGIES, STRATEGY_NAMES, Staleness, StrategyInfo};
