//! The catalogue in Postgres, the source of truth: queries and changes without a cache.

mod categories;
mod error;
mod model;
mod products;

pub use error::CatalogueError;
pub use model::{
    Category, CategoryChange, CategoryPage, CategoryRef, Committed, FeaturedList, ListMembership, NewProduct, Product,
    ProductChange, ProductPage, ProductWrite,
};
pub use products::{LoadedProduct, UpdatedProduct};

use database::Pool;

/// The queries and changes of the catalogue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pool: Pool,
    /// The strategy that makes the changes, or an empty text.
    writer: &'static str,
}

impl Catalogue {
    /// Creates a catalogue on a connection pool of the primary.
    pub fn new(pool: Pool) -> Self {
        Self { pool, writer: "" }
    }

    /// Returns the connection pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
