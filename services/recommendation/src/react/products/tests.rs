//! Which lists an event outdates.

use chrono::DateTime;
use uuid::Uuid;

use super::*;

fn event(seq: u64, kind: Kind, product: Option<i64>, changed: &[&str]) -> ProductEvent {
    let change = ProductChange {
        kind,
        product_id: product,
        version: 2,
        category_id: 7,
        previous_category_id: changed.contains(&"category_id").then_some(8),
        changed: changed.iter().map(|column| (*column).to_owned()).collect(),
    };
    let occurred_at = DateTime::default();
    ProductEvent { event_id: Uuid::nil(), seq, epoch: None, schema: 1, occurred_at, traceparent: None, change }
}

fn tags(events: &[ProductEvent], flipped: &[i64]) -> Vec<String> {
    let tags = outdated(events, &flipped.iter().copied().collect());
    let mut tags: Vec<String> = tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    tags.sort();
    tags
}

#[test]
fn new_price_or_text_invalidates_the_lists_of_the_category() {
    for changed in
        [&["price_cents"] as &[&str], &["name"], &["description", "stock"], &[], &["a column of a later day"]]
    {
        let updated = event(1, Kind::ProductUpdated, Some(3), changed);
        assert_eq!(tags(&[updated], &[]), ["product:3", "products-of:7"], "{changed:?}");
    }
}

#[test]
fn new_stock_invalidates_other_lists_only_when_availability_changes() {
    let updated = event(1, Kind::ProductUpdated, Some(3), &["stock", "featured"]);
    assert_eq!(tags(std::slice::from_ref(&updated), &[]), ["product:3"]);
    assert_eq!(tags(&[updated], &[3]), ["product:3", "products-of:7"]);
}

#[test]
fn moved_product_invalidates_the_lists_of_both_categories() {
    let moved = event(1, Kind::ProductUpdated, Some(3), &["category_id"]);
    assert_eq!(tags(&[moved], &[]), ["product:3", "products-of:7", "products-of:8"]);
}

#[test]
fn category_change_invalidates_the_lists_that_show_its_name() {
    assert_eq!(tags(&[event(1, Kind::CategoryUpdated, None, &["name"])], &[]), ["category:7"]);
}

#[test]
fn product_counts_as_deleted_if_its_last_event_is_the_deletion() {
    let events = [
        event(1, Kind::ProductDeleted, Some(1), &[]),
        event(2, Kind::ProductCreated, Some(1), &[]),
        event(3, Kind::ProductUpdated, Some(2), &[]),
        event(4, Kind::ProductDeleted, Some(2), &[]),
    ];
    assert_eq!(deleted(&events), BTreeMap::from([(2, (2, 4))]));
}
