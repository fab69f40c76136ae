//! Lists, cached: computed from the copy of the catalogue and from what was learned.
//!
//! A load reads after its lease was taken, and whoever changes a row invalidates after the change is committed. So a list
//! that was made of an older row is refused or removed by that invalidation, provided it carries the tags of all that it
//! depends on. That is more than what it shows:
//!
//! * a product that would be shown if it were not sold out, because it may come back;
//! * the category whose products were compared, because another one may get into the list;
//! * what was learned about each product that it is for.
//!
//! Between an event and the new row, a list of the old one is not stored: [`catalogue::Catalogue::expect`].
//!
//! It is not flagged as stale: how current the copy is stands beside it in the answer, and is true of that moment.

mod model;
mod queries;

pub use model::{Category, Item, MOST, Reason, Recommendations};

use std::collections::BTreeSet;

use cache::{Cached, GetError, NewEntry, Tag};
use database::Pool;
use diesel_async::AsyncPgConnection;

use crate::catalogue;
use crate::error::RecommendationError;
use crate::ids::{CartId, ProductId};
use crate::keys::{self, Caches};
use queries::Candidate;

/// Similar products are looked for to so many products of a cart: those that were put into it last.
const LATEST: usize = 3;

/// The way to lists. Cheap to clone.
#[derive(Clone)]
pub struct Lists {
    caches: Caches,
    pool: Pool,
}

impl Lists {
    /// Lists cached in `caches`, computed from the database of `pool`.
    pub fn new(caches: Caches, pool: Pool) -> Self {
        Self { caches, pool }
    }

    /// What goes with a product; absent when there is no such product.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn beside(&self, product: ProductId) -> Result<Cached, GetError> {
        let lists = self.clone();
        let load = move || {
            let lists = lists.clone();
            async move { lists.load_beside(product.get()).await }
        };
        self.caches.list.get_or_load(&self.caches.list.key(product), load).await
    }

    /// What goes with the products in a cart. Of a cart of which nothing is known, nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn for_cart(&self, cart: CartId) -> Result<Cached, GetError> {
        let lists = self.clone();
        let load = move || {
            let lists = lists.clone();
            async move { lists.load_for_cart(cart).await }
        };
        self.caches.basket.get_or_load(&self.caches.basket.key(cart.reference()), load).await
    }

    async fn load_beside(&self, product: i64) -> Result<NewEntry, RecommendationError> {
        self.pool.run(async |connection| beside(connection, product).await).await
    }

    async fn load_for_cart(&self, cart: CartId) -> Result<NewEntry, RecommendationError> {
        self.pool.run(async |connection| for_cart(connection, cart).await).await
    }
}

async fn beside(connection: &mut AsyncPgConnection, product: i64) -> Result<NewEntry, RecommendationError> {
    let Some(category) = queries::category(connection, product).await? else {
        // No tag: an id that belongs to nothing leaves no tag set. The creation of the product removes the entry by its key.
        return Ok(NewEntry::absent());
    };
    let together = queries::together(connection, &[product]).await?;
    let similar = queries::similar(connection, &[product], &[], MOST).await?;
    let tags = BTreeSet::from([keys::product(product), keys::together(product), keys::products_of(category)]);
    let (bought_together, tags) = shown(together, tags);
    let similar: Vec<Item> = similar.into_iter().map(Candidate::similar).collect();
    let list = Recommendations { product_id: Some(product), cart_id: None, bought_together, similar };
    loaded(connection, list, tags).await
}

async fn for_cart(connection: &mut AsyncPgConnection, cart: CartId) -> Result<NewEntry, RecommendationError> {
    let lines = queries::basket(connection, cart.reference()).await?;
    let products: Vec<i64> = lines.iter().map(|(product, _)| *product).collect();
    let latest = &lines[..lines.len().min(LATEST)];
    let of: Vec<i64> = latest.iter().map(|(product, _)| *product).collect();
    let together = queries::together(connection, &products).await?;
    let similar = queries::similar(connection, &of, &products, MOST).await?;
    let mut tags = BTreeSet::from([keys::basket(cart.reference())]);
    tags.extend(products.iter().map(|product| keys::together(*product)));
    for (product, category) in latest {
        tags.extend([keys::product(*product), keys::products_of(*category)]);
    }
    let (bought_together, tags) = shown(together, tags);
    let similar: Vec<Item> = similar.into_iter().map(Candidate::similar).collect();
    let list = Recommendations { product_id: None, cart_id: Some(cart.get()), bought_together, similar };
    let loaded = loaded(connection, list, tags).await?;
    // Anybody can ask for any cart: what is not known is not remembered.
    Ok(if lines.is_empty() { loaded.do_not_store() } else { loaded })
}

/// Those that can be bought, and the tags of all that were looked at for it.
fn shown(candidates: Vec<Candidate>, mut tags: BTreeSet<Tag>) -> (Vec<Item>, BTreeSet<Tag>) {
    let mut items = Vec::with_capacity(MOST);
    for candidate in candidates {
        if items.len() == MOST {
            break;
        }
        tags.insert(keys::product(candidate.id));
        if candidate.can_be_bought {
            items.push(candidate.together());
        }
    }
    (items, tags)
}

/// The list with the tags of what it shows; good for this answer only, if a change of it is on its way, and then without
/// what may be sold out.
async fn loaded(
    connection: &mut AsyncPgConnection,
    mut list: Recommendations,
    mut tags: BTreeSet<Tag>,
) -> Result<NewEntry, RecommendationError> {
    for item in list.bought_together.iter().chain(&list.similar) {
        tags.extend([keys::product(item.product_id), keys::category(item.category.id)]);
    }
    let shown = list.bought_together.iter().chain(&list.similar).map(|item| item.product_id);
    let awaited = catalogue::awaited(connection, &tags, shown).await?;
    list.bought_together.retain(|item| !awaited.in_doubt.contains(&item.product_id));
    list.similar.retain(|item| !awaited.in_doubt.contains(&item.product_id));
    let loaded = NewEntry::json(&list)?.tags(tags);
    Ok(if awaited.any { loaded.do_not_store() } else { loaded })
}

impl std::fmt::Debug for Lists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lists").field("lanes", &self.caches).finish_non_exhaustive()
    }
}
