//! The catalogue: the truth in Postgres, read and written without any cache.

mod categories;
mod change;
mod error;
mod model;
mod products;

pub use change::{CategoryChange, NewProduct, ProductChange};
pub use error::CatalogueError;
pub use model::{
    Category, CategoryId, CategoryPage, CategoryRef, FeaturedList, ListMembership, Product, ProductId, ProductPage,
};
pub use products::{UpdatedProduct, Writer};

use database::Pool;

/// The catalogue's queries. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    pool: Pool,
    writer: Option<Writer>,
}

impl Catalogue {
    /// A catalogue on a pool of the primary.
    pub fn new(pool: Pool) -> Self {
        Self { pool, writer: None }
    }

    /// The same catalogue for this writer: what it changes is recorded as its own.
    pub fn as_writer(&self, writer: Writer) -> Self {
        Self { pool: self.pool.clone(), writer: Some(writer) }
    }

    /// The connections that it uses.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalogue")
    }
}
