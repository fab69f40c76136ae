//! The data of a product, and the decision whether a fetched version is recent enough.

use contract::product_api::Product;
use serde::{Deserialize, Serialize};

/// The data of a product that a cart shows. They exclude the category, so a renamed category affects no cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductFields {
    /// The name.
    pub name: String,
    /// The price in cents.
    pub price_cents: i64,
    /// Pieces in stock.
    pub stock: i32,
    /// The version of the product's row.
    pub version: i64,
}

/// The current knowledge about a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductInfo {
    /// Whether the product is sold, and its data.
    pub product: State,
    /// Whether it may be outdated: the product API was unavailable, or its response was older than an event.
    pub stale: bool,
}

/// Whether a product is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The product is sold, but not necessarily in stock.
    Sold(ProductFields),
    /// The product is no longer sold, or never was. Contains its last data, if they are known.
    Gone(Option<ProductFields>),
    /// Nothing is known of the product.
    Unknown,
}

/// What the database stores of a product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The data as last fetched.
    pub facts: Option<ProductFields>,
    /// The version of the stored data; 0 after a reset. Fetched data replace them if their version is higher, or if the
    /// product was deleted.
    pub version: i64,
    /// The version in the last event; 0 if no event was received.
    pub min_version: i64,
    /// Whether the product is no longer sold.
    pub deleted: bool,
    /// The number of the last event; 0 if no event was received.
    pub seq: i64,
}

impl Snapshot {
    /// Returns whether the response of the product API is older than a received event, and therefore rejected.
    pub fn is_older_than_events(&self, fetched: Option<&ProductFields>) -> bool {
        match fetched {
            // The event of a deletion carries the row's last version. Only a new row with the same id can have a higher
            // version or start again from 1, and the event of its creation lowers the minimum version.
            Some(facts) if self.deleted => facts.version <= self.min_version,
            Some(facts) => facts.version < self.min_version,
            None => self.min_version > 0 && !self.deleted,
        }
    }

    /// Returns whether `facts` should replace the stored data.
    pub fn should_store(&self, facts: &ProductFields) -> bool {
        self.deleted || self.version < facts.version
    }

    /// Returns the most recent known data, for a product API that is unavailable or lags behind the events.
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
    /// Returns current knowledge.
    pub fn fresh(product: State) -> Self {
        Self { product, stale: false }
    }

    /// Returns the state of a product about which nothing is known while the product API is unavailable.
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
    fn response_older_than_the_last_event_is_rejected() {
        //   minimum version, deleted, fetched → whether it is rejected
        for (min_version, deleted, fetched, is_older) in [
            (0, false, Some(1), false), // no event was received
            (0, false, None, false),
            (5, false, Some(4), true),
            (5, false, Some(5), false),
            (5, false, Some(6), false), // the event of that change is still in flight
            (5, false, None, true),     // an event reported version 5, and it was no deletion
            (5, true, Some(5), true),   // 5 was its last version
            (5, true, None, false),
            (0, true, Some(1), false), // the product API reported it as gone, and now returns it
        ] {
            let snapshot = Snapshot { min_version, deleted, ..Snapshot::default() };
            assert_eq!(
                snapshot.is_older_than_events(fetched.map(facts).as_ref()),
                is_older,
                "{min_version} {deleted} {fetched:?}"
            );
        }
    }

    #[test]
    fn latest_known_data_are_the_newest_and_always_marked_stale() {
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
            let info = snapshot.latest_known(fetched.map(facts));
            let expected = match version.map(facts) {
                facts if deleted => State::Gone(facts),
                Some(facts) => State::Sold(facts),
                None => State::Unknown,
            };
            assert_eq!(info, ProductInfo { product: expected, stale: true });
        }
    }
}
