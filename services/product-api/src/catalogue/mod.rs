//! The catalogue in Postgres, the source of truth: queries and changes without a cache.

mod categories;
mod change;
mod error;
mod model;
mod products;

pub use change::{CategoryChange, NewProduct, ProductChange, ProductWrite};
pub use error::CatalogueError;
pub use model::{Category, CategoryPage, CategoryRef, FeaturedList, ListMembership, Product, ProductPage};
pub use products::UpdatedProduct;

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

    /// Returns the same catalogue for the strategy `writer`, which invalidates its own entry after COMMIT. After an update
    /// or a deletion of a product, the relay removes this entry only if that strategy made the change.
    ///
    /// The transaction of the change records the name with the event (`outbox.writer`). If the writer is killed before it
    /// invalidates, or Redis does not acknowledge the invalidation, the relay invalidates this strategy's entry.
    pub fn as_writer(&self, writer: &'static str) -> Self {
        Self { pool: self.pool.clone(), writer }
    }

    /// Returns the connection pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
