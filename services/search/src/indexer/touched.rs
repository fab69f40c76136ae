//! Which pages a batch of changes can outdate beside those that show what has changed: the tags of the texts that
//! products had before and have after.
//!
//! Such a page has the words of its query in a text before or after. Both texts are known here only if this replica has indexed the very version before an event and fetched the very one
//! after it. Events come faster than they are fetched, so it may have skipped a version that another replica has
//! indexed, and has stored pages from. Where a skipped version may have had another text, every page is touched.

use std::collections::BTreeSet;

use cache::Tag;
use events::contract::{ProductChange, ProductChangeKind};

use crate::index::{Categories, Row};
use crate::keys::{self, PageBasis};
use crate::text;

/// More tags than this, and every page is touched instead, by one.
const MOST: usize = 400;

/// How much of a product a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DiffExtent {
    /// What pages show.
    Shown,
    /// Which pages with a price filter it is on.
    Price,
    /// Which pages it is on.
    Text,
}

/// What has been touched so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChangedTags {
    tags: BTreeSet<Tag>,
    everything: bool,
}

/// A product before and after, and what was said of it in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    /// As the index has it.
    pub(super) before: Option<&'a Row>,
    /// As it is now.
    pub(super) after: Option<&'a Row>,
    /// Its events, in order.
    pub(super) events: &'a [ProductChange],
}

impl ChangedTags {
    /// A product has changed. `names` are those of its categories, before and after.
    pub(super) fn product(&mut self, change: &Change<'_>, names: (&Categories, &Categories)) {
        let told = change.events.iter().map(of_event);
        let extent = told.chain([of_rows(change.before, change.after)]).max().unwrap_or(DiffExtent::Shown);
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

    /// A category has changed. Its name is part of the text of all its products, and no version says which one is known.
    pub(super) fn category(&mut self, change: &ProductChange) {
        self.everything |= change.changed.iter().any(|column| column == "name");
    }

    /// Whether nothing that could be added makes a difference any more.
    pub(super) fn is_everything(&self) -> bool {
        self.everything || self.tags.len() > MOST
    }

    /// The tags to be invalidated.
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

/// Whether the texts before and after every event are those of `before` and `after`.
fn knows_all_texts(change: &Change<'_>) -> bool {
    let texts: Vec<_> = change.events.iter().filter(|event| of_event(event) == DiffExtent::Text).collect();
    let [event] = texts[..] else { return texts.is_empty() };
    let before = match event.kind {
        // There was none.
        ProductChangeKind::ProductCreated => true,
        // Its version is the last one that the row had.
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
        let mut touched = ChangedTags::default();
        let change = Change { before: before.as_ref(), after: after.as_ref(), events };
        touched.product(&change, (&names, &names));
        touched.into_tags().iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
    }

    const EVERY_PAGE: &str = "page:any";
    const TEXTS: &str = "in:any typo:any word:a word:ab word:b word:bc word:r word:re word:red";

    #[test]
    fn stock_touches_nothing_more_and_a_price_what_is_chosen_by_price() {
        assert_eq!(tags(Some(row(1, "Ab", 5)), Some(row(2, "Ab", 5)), &[updated(2, &["stock"])]), "");
        let price = tags(Some(row(1, "Ab", 5)), Some(row(2, "Ab", 6)), &[updated(2, &["price_cents", "stock"])]);
        assert_eq!(
            price,
            "priced-in:any priced-typo:any priced-word:a priced-word:ab priced-word:r priced-word:re \
             priced-word:red"
        );
    }

    #[test]
    fn a_text_touches_the_words_that_it_had_and_has() {
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
    fn a_version_that_was_skipped_touches_every_page_if_its_text_may_have_been_another() {
        let (old, new) = (|| Some(row(1, "Ab", 5)), || Some(row(3, "Bc", 5)));
        for (before, after, events) in [
            // Fetched later than a change that this batch does not have.
            (old(), new(), vec![updated(2, &["name"])]),
            // Indexed before its event came.
            (new(), new(), vec![updated(3, &["name"])]),
            (old(), new(), vec![updated(2, &["name"]), updated(3, &["description"])]),
            (None, new(), vec![updated(2, &["name"])]),
            (None, None, vec![event(ProductChangeKind::ProductDeleted, 3, &[])]),
            (None, new(), vec![event(ProductChangeKind::ProductCreated, 1, &[])]),
            // A column of a later day.
            (new(), new(), vec![updated(3, &["colour"])]),
        ] {
            assert_eq!(tags(before, after, &events), EVERY_PAGE, "{events:?}");
        }
        assert_eq!(tags(old(), Some(row(3, "Ab", 5)), &[updated(2, &["stock"]), updated(3, &["stock"])]), "");
    }

    #[test]
    fn a_renamed_category_and_very_much_at_once_touch_every_page() {
        let mut touched = ChangedTags::default();
        touched.category(&event(ProductChangeKind::CategoryUpdated, 2, &["description"]));
        assert_eq!(touched, ChangedTags::default());
        touched.category(&event(ProductChangeKind::CategoryUpdated, 3, &["name"]));
        assert_eq!(touched.into_tags(), [keys::every_page()]);
        let many = ChangedTags { tags: (0..=MOST as i64).map(keys::product).collect(), everything: false };
        assert_eq!(many.into_tags(), [keys::every_page()]);
    }
}
