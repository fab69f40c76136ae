//! The hand-written part of the catalogue, `seed/catalogue.json`, and the whole catalogue by id.

use std::collections::HashMap;

use serde::Deserialize;

use super::generator;

const WRITTEN: &str = include_str!("../../seed/catalogue.json");

/// A future row of `categories`, with its hand-written products as long as [`Catalogue::read`] has not moved them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Category {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
    products: Vec<Product>,
}

/// A future row of `products`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Product {
    pub(super) id: i64,
    /// In the file, the product's place says it.
    #[serde(skip)]
    pub(super) category_id: i64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) price_cents: i64,
    pub(super) stock: i32,
    #[serde(default)]
    pub(super) featured: bool,
}

/// Every possible product: the hand-written ones, and a generated one for any other id.
pub(super) struct Catalogue {
    pub(super) categories: Vec<Category>,
    pub(super) written: HashMap<i64, Product>,
}

impl Catalogue {
    /// Reads the file that is compiled into the binary.
    pub(super) fn read() -> serde_json::Result<Self> {
        let File { mut categories } = serde_json::from_str(WRITTEN)?;
        let mut written = HashMap::new();
        for category in &mut categories {
            let products = std::mem::take(&mut category.products).into_iter();
            written.extend(products.map(|product| (product.id, Product { category_id: category.id, ..product })));
        }
        Ok(Self { categories, written })
    }

    /// Returns the product with this catalogue id. Ids begin at 1.
    pub(super) fn product(&self, id: i64) -> Product {
        self.written.get(&id).cloned().unwrap_or_else(|| generator::product(id))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    categories: Vec<Category>,
}
