//! The catalogue in Postgres, the source of truth: queries and changes without a cache.

mod categories;
mod change;
mod error;
mod model;
mod products;

pub use change::{CategoryChange, NewProduct, ProductChange};
pub use error::CatalogueError;
pub use model::{Category, CategoryPage, CategoryRef, FeaturedList, ListMembership, Product, ProductPage};
pub use products::{UpdatedProduct, Writer};

use database::Pool;

/// The queries and changes of the catalogue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pool: Pool,
    writer: Option<Writer>,
}

impl Catalogue {
    /// Creates a catalogue on a connection pool of the primary.
    pub fn new(pool: Pool) -> Self {
        Self { pool, writer: None }
    }

    /// Returns the same catalogue for `writer`, which the outbox records with each change.
    pub fn as_writer(&self, writer: Writer) -> Self {
        Self { pool: self.pool.clone(), writer: Some(writer) }
    }

    /// Returns the connection pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
