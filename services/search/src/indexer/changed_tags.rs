//! The tags of pages that a batch of changes can outdate, apart from pages that show the changed rows: the tags of the
//! texts that products had before and have after.
//!
//! The query of such a page has its words in a text before or after the change. This replica knows both texts only if
//! it has indexed the version right before an event and fetched the version right after it. Events arrive faster than
//! rows are fetched, so this replica may have skipped a version that another replica has indexed and stored pages from.
//! Where a skipped version may have had another text, every page is invalidated.

use std::collections::BTreeSet;

use cache::Tag;
use contract::{ProductChange, ProductChangeKind};

use crate::index::{Categories, Row};
use crate::keys::{self, PageBasis};
use crate::text;

/// Above this number of tags, the tag of every page replaces them.
const MOST: usize = 400;

/// Which pages a change of a product can outdate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DiffExtent {
    /// Pages that show the product.
    Shown,
    /// Also pages with a price filter, which the product may enter or leave.
    Price,
    /// Any page that the product may enter or leave.
    Text,
}

/// The tags that the batch invalidates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChangedTags {
    tags: BTreeSet<Tag>,
    everything: bool,
}

/// A product before and after, with the events in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    /// The row in the index.
    pub(super) before: Option<&'a Row>,
    /// The current row.
    pub(super) after: Option<&'a Row>,
    /// The events of the product, in order.
    pub(super) events: &'a [ProductChange],
}

impl ChangedTags {
    /// Adds the tags that the change of a product invalidates. `names` are the category names before and after.
    pub(super) fn product(&mut self, change: &Change<'_>, names: (&Categories, &Categories)) {
        let of_events = change.events.iter().map(of_event);
        let extent = of_events.chain([of_rows(change.before, change.after)]).max().unwrap_or(DiffExtent::Shown);
        let made = match extent {
            DiffExtent::Shown => return,
            DiffExtent::Price => PageBasis::ByPrice,
            DiffExtent::Text => PageBasis::ByText,
        };
        if !knows_all_texts(change) {
            self.everything = true;
            return;
        }
        self.tags.extend([made.typo(), made.anything()]);
        for (row, names) in [(change.before, names.0), (change.after, names.1)] {
            let Some(row) = row else { continue };
            for text in [Some(&row.name), Some(&row.description), names.get(&row.category_id)].into_iter().flatten() {
                self.tags.extend(text::beginnings(&text::words(text)).into_iter().map(|start| made.word(start)));
            }
        }
    }

    /// Adds the change of a category. Its name is part of the text of all its products, and no version shows which name
    /// a replica has indexed.
    pub(super) fn category(&mut self, change: &ProductChange) {
        self.everything |= change.changed.iter().any(|column| column == "name");
    }

    /// Returns whether every page is invalidated, so that no further tag makes a difference.
    pub(super) fn is_everything(&self) -> bool {
        self.everything || self.tags.len() > MOST
    }

    pub(super) fn into_tags(self) -> Vec<Tag> {
        if self.is_everything() {
            return vec![keys::every_page()];
        }
        self.tags.into_iter().collect()
    }
}

fn of_event(change: &ProductChange) -> DiffExtent {
    if change.kind != ProductChangeKind::ProductUpdated || change.changed.is_empty() {
        return DiffExtent::Text;
    }
    let of_column = |column: &String| match column.as_str() {
        "stock" | "featured" => DiffExtent::Shown,
        "price_cents" => DiffExtent::Price,
        _ => DiffExtent::Text,
    };
    change.changed.iter().map(of_column).max().unwrap_or(DiffExtent::Text)
}

fn of_rows(before: Option<&Row>, after: Option<&Row>) -> DiffExtent {
    match (before, after) {
        (None, None) => DiffExtent::Shown,
        (Some(before), Some(after)) => {
            let text = |row: &Row| (row.name.clone(), row.description.clone(), row.category_id);
            if text(before) != text(after) {
                DiffExtent::Text
            } else if before.price_cents != after.price_cents {
                DiffExtent::Price
            } else {
                DiffExtent::Shown
            }
        }
        _ => DiffExtent::Text,
    }
}

/// Returns whether `before` and `after` hold every text that the product had before and after each event.
fn knows_all_texts(change: &Change<'_>) -> bool {
    let texts: Vec<_> = change.events.iter().filter(|event| of_event(event) == DiffExtent::Text).collect();
    let [event] = texts[..] else { return texts.is_empty() };
    let before = match event.kind {
        // A created product has no text before.
        ProductChangeKind::ProductCreated => true,
        // The version of a deletion is the last one that the row had.
        ProductChangeKind::ProductDeleted => change.before.is_some_and(|row| row.version <= event.version),
        _ => change.before.is_some_and(|row| row.version < event.version),
    };
    let last = change.events.last().map_or(event.version, |last| last.version);
    let after = match event.kind {
        ProductChangeKind::ProductDeleted => change.after.is_none(),
        _ => change.after.is_some_and(|row| row.version == last),
    };
    before && after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: i64, name: &str, price_cents: i64) -> Row {
        Row { id: 7, name: name.to_owned(), description: String::new(), price_cents, stock: 1, category_id: 2, version }
    }

    fn event(kind: ProductChangeKind, version: i64, changed: &[&str]) -> ProductChange {
        let changed = changed.iter().map(|column| (*column).to_owned()).collect();
        ProductChange { kind, product_id: Some(7), version, category_id: 2, previous_category_id: None, changed }
    }

    fn updated(version: i64, changed: &[&str]) -> ProductChange {
        event(ProductChangeKind::ProductUpdated, version, changed)
    }

    fn tags(before: Option<Row>, after: Option<Row>, events: &[ProductChange]) -> String {
        let names = Categories::from([(2, "Red".to_owned())]);
        let mut tags = ChangedTags::default();
        let change = Change { before: before.as_ref(), after: after.as_ref(), events };
        tags.product(&change, (&names, &names));
        tags.into_tags().iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
    }

    const EVERY_PAGE: &str = "page:any";
    const TEXTS: &str = "in:any typo:any word:a word:ab word:b word:bc word:r word:re word:red";

    #[test]
    fn stock_adds_no_tags_and_price_adds_tags_of_price_filtered_pages() {
        assert_eq!(tags(Some(row(1, "Ab", 5)), Some(row(2, "Ab", 5)), &[updated(2, &["stock"])]), "");
        let price = tags(Some(row(1, "Ab", 5)), Some(row(2, "Ab", 6)), &[updated(2, &["price_cents", "stock"])]);
        assert_eq!(
            price,
            "priced-in:any priced-typo:any priced-word:a priced-word:ab priced-word:r priced-word:re \
             priced-word:red"
        );
    }

    #[test]
    fn changed_text_invalidates_the_words_before_and_after() {
        assert_eq!(tags(Some(row(1, "Ab", 5)), Some(row(2, "Bc", 5)), &[updated(2, &["name"])]), TEXTS);
        assert_eq!(
            tags(Some(row(1, "Ab", 5)), Some(row(3, "Bc", 5)), &[updated(2, &["name"]), updated(3, &["stock"])]),
            TEXTS
        );
        let created = [event(ProductChangeKind::ProductCreated, 1, &[])];
        assert_eq!(tags(None, Some(row(1, "Ab, Bc", 5)), &created), TEXTS);
        let deleted = [event(ProductChangeKind::ProductDeleted, 4, &[])];
        assert_eq!(tags(Some(row(4, "Ab, Bc", 5)), None, &deleted), TEXTS);
    }

    #[test]
    fn skipped_version_with_a_possibly_different_text_invalidates_every_page() {
        let (old, new) = (|| Some(row(1, "Ab", 5)), || Some(row(3, "Bc", 5)));
        for (before, after, events) in [
            // The row was fetched after a change whose event is not in this batch.
            (old(), new(), vec![updated(2, &["name"])]),
            // The row was indexed before its event arrived.
            (new(), new(), vec![updated(3, &["name"])]),
            (old(), new(), vec![updated(2, &["name"]), updated(3, &["description"])]),
            (None, new(), vec![updated(2, &["name"])]),
            (None, None, vec![event(ProductChangeKind::ProductDeleted, 3, &[])]),
            (None, new(), vec![event(ProductChangeKind::ProductCreated, 1, &[])]),
            // A column that this version does not know.
            (new(), new(), vec![updated(3, &["colour"])]),
        ] {
            assert_eq!(tags(before, after, &events), EVERY_PAGE, "{events:?}");
        }
        assert_eq!(tags(old(), Some(row(3, "Ab", 5)), &[updated(2, &["stock"]), updated(3, &["stock"])]), "");
    }

    #[test]
    fn renamed_category_or_too_many_tags_invalidate_every_page() {
        let mut tags = ChangedTags::default();
        tags.category(&event(ProductChangeKind::CategoryUpdated, 2, &["description"]));
        assert_eq!(tags, ChangedTags::default());
        tags.category(&event(ProductChangeKind::CategoryUpdated, 3, &["name"]));
        assert_eq!(tags.into_tags(), [keys::every_page()]);
        let many = ChangedTags { tags: (0..=MOST as i64).map(keys::product).collect(), everything: false };
        assert_eq!(many.into_tags(), [keys::every_page()]);
    }
}
