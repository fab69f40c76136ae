//! The hand-written part of the catalogue, `seed/catalogue.json`, and the whole catalogue by id.

use std::collections::HashMap;

use serde::Deserialize;

use super::generator;

const WRITTEN: &str = include_str!("../../seed/catalogue.json");

/// A future row of `categories`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Category {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
}

/// A future row of `products`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) id: i64,
    pub(super) category_id: i64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) price_cents: i64,
    pub(super) stock: i32,
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
        let file: File = serde_json::from_str(WRITTEN)?;
        let mut catalogue = Self { categories: Vec::new(), written: HashMap::new() };
        for WrittenCategory { id: category_id, name, description, products } in file.categories {
            catalogue.categories.push(Category { id: category_id, name, description });
            catalogue.written.extend(products.into_iter().map(|product| {
                let WrittenProduct { id, name, description, price_cents, stock, featured } = product;
                (id, Product { id, category_id, name, description, price_cents, stock, featured })
            }));
        }
        Ok(catalogue)
    }

    /// Returns the product with this catalogue id. Ids begin at 1.
    pub(super) fn product(&self, id: i64) -> Product {
        self.written.get(&id).cloned().unwrap_or_else(|| generator::product(id))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    categories: Vec<WrittenCategory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCategory {
    id: i64,
    name: String,
    description: String,
    products: Vec<WrittenProduct>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProduct {
    id: i64,
    name: String,
    description: String,
    price_cents: i64,
    stock: i32,
    #[serde(default)]
    featured: bool,
}
