#![doc = include_str!("../README.md")]

mod cart;
pub mod cart_snapshot;
mod freshness;
mod ids;
mod product;
pub mod product_api;

pub use cart::{CartChange, CartChangeKind};
pub use freshness::Freshness;
pub use ids::{CartId, CategoryId, ProductId, cart_reference};
pub use product::{ProductChange, ProductChangeKind};
