//! Cached lists, computed from the copy of the catalogue and from the learned associations.
//!
//! A load reads the rows after it took its lease, and a writer invalidates after it has committed a change. So the
//! invalidation removes a list that was built from an older row, or the fence refuses its fill, provided that the list
//! carries the tags of everything it depends on. That is more than the products that it shows:
//!
//! * a product that the list would show if it were not sold out, because it may become available again;
//! * the category whose products were compared, because another product may enter the list;
//! * the associations of each product that the list is for.
//!
//! Between an event and the arrival of the new row, a list from the old row is not stored, for a limited time: see
//! [`catalogue::Catalogue::expect`].
//!
//! The entry has no flag for staleness. The response says how current the copy is at that moment.

mod model;
mod queries;

pub use model::{Category, Item, MAX_ITEMS, Reason, Recommendations};

use std::collections::BTreeSet;

use cache::error::LoadError;
use cache::{Cached, NewEntry, Tag, with};
use contract::{CartId, ProductId};
use database::Pool;
use diesel_async::AsyncPgConnection;
use service::loads::from_database;

use crate::catalogue;
use crate::error::RecommendationError;
use crate::keys::{self, Caches};
use queries::Candidate;

/// The number of products in a cart for which similar products are searched: the ones that were changed last.
const LATEST: usize = 3;

/// The lists, through the cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lists {
    caches: Caches,
    pool: Pool,
}

impl Lists {
    /// Creates lists that are cached in `caches` and computed from the database of `pool`.
    pub fn new(caches: Caches, pool: Pool) -> Self {
        Self { caches, pool }
    }

    /// Returns the recommendations for a product; absent when the product does not exist.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn for_product(&self, product: ProductId) -> Result<Cached<Recommendations>, LoadError> {
        self.caches.list.read(product, with(&self.pool, product.get(), load_for_product)).await
    }

    /// Returns the recommendations for the products in a cart. For an unknown cart, the lists are empty.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn for_cart(&self, cart: CartId) -> Result<Cached<Recommendations>, LoadError> {
        self.caches.basket.read(cart.reference(), with(&self.pool, cart, load_for_cart)).await
    }
}

/// The statements of one load.
const STATEMENTS: u32 = 4;

async fn load_for_product(pool: &Pool, product: i64) -> Result<NewEntry<Recommendations>, RecommendationError> {
    let load = pool.build_transaction().read_only().of_statements(STATEMENTS);
    from_database(pool, load.run(async |connection| for_product(connection, product).await)).await
}

async fn load_for_cart(pool: &Pool, cart: CartId) -> Result<NewEntry<Recommendations>, RecommendationError> {
    let load = pool.build_transaction().read_only().of_statements(STATEMENTS);
    from_database(pool, load.run(async |connection| for_cart(connection, cart).await)).await
}

async fn for_product(
    connection: &mut AsyncPgConnection, product: i64,
) -> Result<NewEntry<Recommendations>, RecommendationError> {
    let Some(category) = queries::category(connection, product).await? else {
        // No tag, so that an id without a product leaves no tag set. The creation of the product removes the entry by
        // its key.
        return Ok(NewEntry::absent());
    };
    let together = queries::together(connection, &[product]).await?;
    let similar = queries::similar(connection, &[product], &[], MAX_ITEMS).await?;
    let tags = BTreeSet::from([keys::product(product), keys::together(product), keys::products_of(category)]);
    let (bought_together, tags) = shown(together, tags);
    let similar: Vec<Item> = similar.into_iter().map(Candidate::similar).collect();
    let list = Recommendations { product_id: Some(product), cart_id: None, bought_together, similar };
    loaded(connection, list, tags).await
}

async fn for_cart(
    connection: &mut AsyncPgConnection, cart: CartId,
) -> Result<NewEntry<Recommendations>, RecommendationError> {
    let lines = queries::basket(connection, cart.reference()).await?;
    let products: Vec<i64> = lines.iter().map(|(product, _)| *product).collect();
    let latest = &lines[..lines.len().min(LATEST)];
    let of: Vec<i64> = latest.iter().map(|(product, _)| *product).collect();
    let together = queries::together(connection, &products).await?;
    let similar = queries::similar(connection, &of, &products, MAX_ITEMS).await?;
    let mut tags = BTreeSet::from([keys::basket(cart.reference())]);
    tags.extend(products.iter().map(|product| keys::together(*product)));
    for (product, category) in latest {
        tags.extend([keys::product(*product), keys::products_of(*category)]);
    }
    let (bought_together, tags) = shown(together, tags);
    let similar: Vec<Item> = similar.into_iter().map(Candidate::similar).collect();
    let list = Recommendations { product_id: None, cart_id: Some(cart.get()), bought_together, similar };
    let loaded = loaded(connection, list, tags).await?;
    // Any client can request any cart id, so the list of an unknown or empty cart is not stored.
    Ok(if lines.is_empty() { loaded.do_not_store() } else { loaded })
}

/// Returns the candidates that can be bought, and `tags` extended by the tags of all examined candidates.
fn shown(candidates: Vec<Candidate>, mut tags: BTreeSet<Tag>) -> (Vec<Item>, BTreeSet<Tag>) {
    let mut items = Vec::with_capacity(MAX_ITEMS);
    for candidate in candidates {
        if items.len() == MAX_ITEMS {
            break;
        }
        tags.insert(keys::product(candidate.id));
        if candidate.can_be_bought {
            items.push(candidate.together());
        }
    }
    (items, tags)
}

/// Builds the entry with the tags of everything that the list shows. If a refresh of one of its rows is pending, the
/// entry is not stored, and the list leaves out products that may be sold out.
async fn loaded(
    connection: &mut AsyncPgConnection, mut list: Recommendations, mut tags: BTreeSet<Tag>,
) -> Result<NewEntry<Recommendations>, RecommendationError> {
    for item in list.bought_together.iter().chain(&list.similar) {
        tags.extend([keys::product(item.product_id), keys::category(item.category.id)]);
    }
    let shown = list.bought_together.iter().chain(&list.similar).map(|item| item.product_id);
    let awaited = catalogue::awaited(connection, &tags, shown).await?;
    list.bought_together.retain(|item| !awaited.in_doubt.contains(&item.product_id));
    list.similar.retain(|item| !awaited.in_doubt.contains(&item.product_id));
    let loaded = NewEntry::value(&list).tags(tags);
    Ok(if awaited.any { loaded.do_not_store() } else { loaded })
}
