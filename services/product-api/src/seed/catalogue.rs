//! The part of the catalogue that people wrote, `seed/catalogue.json`, and the whole by id.

use std::collections::HashMap;

use serde::Deserialize;

use super::generator;

const WRITTEN: &str = include_str!("../../seed/catalogue.json");

/// A row of `categories` to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Category {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
}

/// A row of `products` to be.
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

/// Every product there could ever be: the written ones, and a generated one for any other id.
pub(super) struct Catalogue {
    pub(super) categories: Vec<Category>,
    pub(super) written: HashMap<i64, Product>,
}

impl Catalogue {
    /// Reads the file that was compiled in.
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

    /// The product with this catalogue id, from 1 on.
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
