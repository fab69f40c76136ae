//! What can be said about a product, and the decision whether a fetched one may be believed.

use events::product_api::Product;
use serde::{Deserialize, Serialize};

/// What a cart shows of a product. Not its category: a renamed category concerns no cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductFields {
    /// What it is called.
    pub name: String,
    /// The price in cents.
    pub price_cents: i64,
    /// Pieces on the shelf.
    pub stock: i32,
    /// Of the product's row.
    pub version: i64,
}

/// What is said about a product just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductInfo {
    /// What is said.
    pub product: State,
    /// Whether it may be outdated: the product API was not there to ask, or gave an older answer than an event did.
    pub stale: bool,
}

/// Whether a product is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is, though not necessarily in stock.
    Sold(ProductFields),
    /// Not any more, or it never was; with what it was last, where that is known.
    Gone(Option<ProductFields>),
    /// Nobody knows.
    Unknown,
}

/// What the database remembers of a product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// As last fetched.
    pub facts: Option<ProductFields>,
    /// The version below which facts are not worth remembering; mostly theirs.
    pub version: i64,
    /// The version that the last event told of; 0 when none was heard.
    pub floor: i64,
    /// Whether it is no longer sold.
    pub deleted: bool,
    /// The number of the last event; 0 when none was heard.
    pub seq: i64,
}

impl Snapshot {
    /// Whether the answer of the product API is older than an event that has been heard: then it is not believed.
    pub fn is_older_than_events(&self, fetched: Option<&ProductFields>) -> bool {
        match fetched {
            // A deleted row told of its last version; only a new row of the same id can be above it or begin anew,
            // and the event of its creation lowers the floor.
            Some(facts) if self.deleted => facts.version <= self.floor,
            Some(facts) => facts.version < self.floor,
            None => self.floor > 0 && !self.deleted,
        }
    }

    /// Whether `facts` are worth remembering.
    pub fn should_store(&self, facts: &ProductFields) -> bool {
        self.deleted || self.version < facts.version
    }

    /// The most recent that is known, where nobody can be asked, or who was asked is behind.
    pub fn latest_known(self, fetched: Option<ProductFields>) -> ProductInfo {
        let newest = match (self.facts, fetched) {
            (Some(known), Some(fetched)) if known.version >= fetched.version => Some(known),
            (known, fetched) => fetched.or(known),
        };
        let product = match newest {
            facts if self.deleted => State::Gone(facts),
            Some(facts) => State::Sold(facts),
            None => State::Unknown,
        };
        ProductInfo { product, stale: true }
    }
}

impl ProductInfo {
    /// What holds just now.
    pub fn fresh(product: State) -> Self {
        Self { product, stale: false }
    }

    /// Nobody knows, and nobody can be asked.
    pub fn unknown() -> Self {
        Self { product: State::Unknown, stale: true }
    }
}

impl From<Product> for ProductFields {
    fn from(product: Product) -> Self {
        Self { name: product.name, price_cents: product.price_cents, stock: product.stock, version: product.version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(version: i64) -> ProductFields {
        ProductFields { name: "A".to_owned(), price_cents: 1, stock: 1, version }
    }

    #[test]
    fn an_answer_below_the_floor_is_not_believed() {
        //   floor, deleted, fetched → outranked
        for (floor, deleted, fetched, outranked) in [
            (0, false, Some(1), false), // no event was heard
            (0, false, None, false),
            (5, false, Some(4), true),
            (5, false, Some(5), false),
            (5, false, Some(6), false), // the event of that change is on its way
            (5, false, None, true),     // an event told of version 5, and it was no deletion
            (5, true, Some(5), true),   // 5 was its last version
            (5, true, None, false),
            (0, true, Some(1), false), // the product API said it was gone, and now it is there
        ] {
            let snapshot = Snapshot { floor, deleted, ..Snapshot::default() };
            assert_eq!(
                snapshot.is_older_than_events(fetched.map(facts).as_ref()),
                outranked,
                "{floor} {deleted} {fetched:?}"
            );
        }
    }

    #[test]
    fn the_last_word_is_the_newest_and_never_called_fresh() {
        //   known, deleted, fetched → version, and whether it is sold
        for (known, deleted, fetched, version) in [
            (Some(3), false, Some(2), Some(3)),
            (Some(2), false, Some(3), Some(3)),
            (Some(2), false, None, Some(2)),
            (None, false, Some(3), Some(3)),
            (None, false, None, None),
            (Some(2), true, None, Some(2)),
        ] {
            let snapshot = Snapshot { facts: known.map(facts), deleted, ..Snapshot::default() };
            let word = snapshot.latest_known(fetched.map(facts));
            let expected = match version.map(facts) {
                facts if deleted => State::Gone(facts),
                Some(facts) => State::Sold(facts),
                None => State::Unknown,
            };
            assert_eq!(word, ProductInfo { product: expected, stale: true });
        }
    }
}
