//! The ledger of acknowledged edits.

use std::collections::BTreeMap;

/// What must be in the databases when every service is idle. A change with an unknown outcome is not recorded.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The highest acknowledged version of each product.
    pub(super) versions: BTreeMap<i64, i64>,
    /// Whether each product exists, by its last acknowledged creation or deletion.
    pub(super) existence: BTreeMap<i64, bool>,
    /// The last acknowledged quantity of each product in each cart; 0 if the line was removed.
    pub(super) lines: BTreeMap<(String, i64), i64>,
    /// Acknowledged edits in SQL.
    pub(crate) in_sql: u64,
    /// Acknowledged edits over HTTP.
    pub(crate) over_http: u64,
    /// Edits that were refused or got no response.
    pub(crate) unconfirmed: u64,
}

impl Ledger {
    /// Records a write of a product.
    pub(super) fn written(&mut self, id: i64, version: i64) {
        let highest = self.versions.entry(id).or_insert(0);
        *highest = version.max(*highest);
    }

    /// Records the creation or the deletion of a product.
    pub(super) fn record_existence(&mut self, id: i64, exists: bool) {
        self.existence.insert(id, exists);
        if !exists {
            self.versions.remove(&id);
        }
    }

    /// Returns the number of acknowledged edits.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.in_sql + self.over_http
    }

    /// Returns which acknowledged edits are missing in the product API's database. `rows` are the versions of its
    /// products.
    pub(super) fn missing_products(&self, rows: &BTreeMap<i64, i64>) -> Vec<String> {
        let outdated = self.versions.iter().filter(|(id, version)| rows.get(id).is_none_or(|row| row < version));
        let outdated = outdated.map(|(id, version)| {
            format!("product {id}: version {version} was acknowledged, and it has {:?}", rows.get(id))
        });
        let wrong = self.existence.iter().filter(|(id, exists)| rows.contains_key(id) != **exists);
        let wrong = wrong.map(|(id, exists)| format!("product {id}: its existence was acknowledged as {exists}"));
        outdated.chain(wrong).collect()
    }

    /// Returns which acknowledged lines of a cart differ from `quantities`, its actual quantities by product.
    pub(super) fn missing_lines(&self, cart: &str, quantities: &BTreeMap<i64, i64>) -> Vec<String> {
        let lines = self.lines.iter().filter(|((of, _), _)| of == cart);
        let differs = lines.filter_map(|((_, product), acknowledged)| {
            let found = quantities.get(product).copied().unwrap_or(0);
            (found != *acknowledged).then(|| {
                format!("cart {cart}, product {product}: {acknowledged} pieces were acknowledged, and it has {found}")
            })
        });
        differs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_writes_creations_and_deletions_must_be_in_the_database() {
        let mut ledger = Ledger::default();
        ledger.record_existence(1, true);
        ledger.written(1, 4);
        ledger.written(1, 3);
        ledger.record_existence(2, true);
        ledger.written(2, 7);
        ledger.record_existence(2, false);
        assert_eq!(ledger.missing_products(&BTreeMap::from([(1, 5)])), Vec::<String>::new());
        assert_eq!(ledger.missing_products(&BTreeMap::from([(1, 4), (3, 1)])), Vec::<String>::new());
        let lost = ledger.missing_products(&BTreeMap::from([(1, 3)]));
        assert_eq!(lost, ["product 1: version 4 was acknowledged, and it has Some(3)"]);
        let lost = ledger.missing_products(&BTreeMap::new());
        assert_eq!(lost.len(), 2, "neither the version nor the product is there: {lost:?}");
        let kept = ledger.missing_products(&BTreeMap::from([(1, 4), (2, 1)]));
        assert_eq!(kept, ["product 2: its existence was acknowledged as false"]);
    }

    #[test]
    fn acknowledged_lines_must_have_their_quantities() {
        let lines = [(("a", 1), 2), (("a", 2), 0), (("b", 1), 3)];
        let lines = lines.map(|((cart, product), quantity)| ((cart.to_owned(), product), quantity)).into();
        let ledger = Ledger { lines, ..Ledger::default() };
        assert_eq!(ledger.missing_lines("a", &BTreeMap::from([(1, 2)])), Vec::<String>::new());
        let wrong = ledger.missing_lines("a", &BTreeMap::from([(2, 1)]));
        assert_eq!(wrong.len(), 2, "one line is missing, and one was removed: {wrong:?}");
    }
}
