//! Responses of the product API in any order, and more than once: the resulting rows of the copy. Other programs
//! read them with any session settings.

use std::collections::HashSet;

use chrono::DateTime;
use contract::product_api::{CategoryRef, Product};
use database::{PostgresSettings, connect};
use futures_util::future::join_all;
use recommendation::catalogue::{Catalogue, Changes};
use recommendation::positions::Positions;
use serde_json::{Value, json};

use crate::support::{SOON, Stores, item, started, until_list};

const SCHEMA: [&str; 2] = [
    include_str!("../../migrations/2026-11-23-000001_recommendation/up.sql"),
    include_str!("../../migrations/2026-11-26-000003_history/up.sql"),
];

struct Rows {
    stores: Stores,
    catalogue: Catalogue,
    positions: Positions,
}

impl Rows {
    async fn start() -> Self {
        let stores = Stores::start().await;
        for schema in SCHEMA {
            stores.sql(schema).await;
        }
        let settings: PostgresSettings =
            serde_json::from_value(serde_json::json!({ "url": stores.database.url(), "max_connections": 4 }))
                .expect("settings");
        let pool = connect(&settings, "rows", SOON).await.expect("connections");
        Self { stores, catalogue: Catalogue::new(pool.clone()), positions: Positions::new(pool) }
    }

    async fn live(&self, seq: u64, version: i64, stock: i32) -> bool {
        let changes = Changes { live: vec![(product(version, stock), seq)], ..Changes::default() };
        self.write(changes, seq).await
    }

    async fn insert_again(&self, seq: u64, version: i64) -> bool {
        let live = vec![(product(version, 1), seq)];
        self.write(Changes { live, may_be_new_row: HashSet::from([1]), ..Changes::default() }, seq).await
    }

    async fn gone(&self, seq: u64, version: i64) -> bool {
        self.write(Changes { gone: vec![(1, version, seq)], ..Changes::default() }, seq).await
    }

    /// Returns whether this event made the product available again or unavailable.
    async fn write(&self, changes: Changes, seq: u64) -> bool {
        !self.catalogue.apply(&changes, &[seq.into()]).await.expect("it is written").is_empty()
    }

    async fn row(&self) -> String {
        self.stores.sql("SELECT name, deleted, version, seq FROM products WHERE id = 1").await
    }
}

fn product(version: i64, stock: i32) -> Product {
    Product {
        id: 1,
        name: format!("v{version}"),
        description: String::new(),
        price_cents: 100,
        stock,
        featured: false,
        category: CategoryRef { id: 7, name: format!("named {version}") },
        version,
        updated_at: DateTime::default(),
    }
}

#[tokio::test]
async fn older_response_changes_nothing() {
    let rows = Rows::start().await;
    rows.live(12, 3, 1).await;
    rows.live(11, 2, 1).await;
    assert_eq!(rows.row().await, "v3|f|3|12");
    assert_eq!(rows.stores.sql("SELECT name FROM categories").await, "named 3");
    // A response may be newer than the event after which it was requested.
    rows.live(11, 4, 1).await;
    assert_eq!(rows.row().await, "v4|f|4|12");
}

#[tokio::test]
async fn older_response_does_not_restore_a_deleted_product() {
    let rows = Rows::start().await;
    rows.live(10, 3, 1).await;
    rows.gone(12, 3).await;
    rows.live(11, 4, 1).await;
    assert_eq!(rows.row().await, "v3|t|3|12");
    // The same holds for a product that was never known.
    rows.stores.sql("DELETE FROM products").await;
    rows.gone(12, 3).await;
    rows.live(11, 3, 1).await;
    assert_eq!(rows.row().await, "|t|3|12");
}

#[tokio::test]
async fn recreated_product_begins_with_version_one() {
    let rows = Rows::start().await;
    rows.live(10, 8, 1).await;
    rows.gone(11, 8).await;
    rows.live(12, 1, 1).await;
    assert_eq!(rows.row().await, "v1|f|1|12");
    // Also when the copy has not observed the deletion.
    rows.live(13, 5, 1).await;
    rows.insert_again(15, 1).await;
    assert_eq!(rows.row().await, "v1|f|1|15");
    // A late deletion of the old product has no effect.
    rows.gone(14, 5).await;
    assert_eq!(rows.row().await, "v1|f|1|15");
}

#[tokio::test]
async fn repeated_event_reports_the_availability_change_again() {
    let rows = Rows::start().await;
    assert!(rows.live(10, 1, 0).await, "it was not there before: its state is unknown");
    assert!(!rows.live(11, 2, 0).await);
    assert!(rows.live(12, 3, 5).await);
    assert!(rows.live(12, 3, 5).await, "the one who wrote it may have died before it removed the lists");
    assert!(!rows.live(13, 4, 4).await);
    assert!(rows.live(14, 5, 0).await);
}

/// A text is expensive to analyse, and nearly all changes concern prices and stock.
#[tokio::test]
async fn search_text_is_recomputed_only_when_a_text_changes() {
    let rows = Rows::start().await;
    let name = |name: &str, version, stock| Product { name: name.to_owned(), ..product(version, stock) };
    let write = async |seq, product| {
        rows.write(Changes { live: vec![(product, seq)], ..Changes::default() }, seq).await;
        rows.stores.sql("SELECT text, stock, version, seq FROM products WHERE id = 1").await
    };
    assert_eq!(write(10, name("Lamps", 1, 5)).await, "'lamp':1A|5|1|10");
    // From here on, a text that is analysed in this database has no words.
    rows.stores.sql("ALTER TEXT SEARCH CONFIGURATION english DROP MAPPING FOR asciiword").await;
    assert_eq!(write(11, name("Lamps", 2, 4)).await, "'lamp':1A|4|2|11");
    assert!(write(12, name("Desks", 3, 4)).await.starts_with('|'), "the new text is analysed");
}

/// One batch with rows that keep their texts, rows with new texts, new rows, and deleted rows.
#[tokio::test]
async fn mixed_batch_writes_each_row_as_a_single_row_would() {
    let rows = Rows::start().await;
    let of = |id: i64, name: &str, version: i64, stock: i32| Product {
        id,
        name: name.to_owned(),
        ..product(version, stock)
    };
    let live = (1..=4).map(|id| (of(id, "old", 1, 5), 10)).collect();
    rows.write(Changes { live, ..Changes::default() }, 10).await;
    let live =
        vec![(of(1, "old", 2, 0), 11), (of(2, "new", 2, 4), 12), (of(5, "first", 1, 1), 13), (of(4, "old", 1, 9), 9)];
    let changes = Changes { live, gone: vec![(3, 1, 14)], ..Changes::default() };
    let numbers = [11, 12, 13, 14].map(outbox::log::LogPosition::from);
    let mut flipped: Vec<i64> = rows.catalogue.apply(&changes, &numbers).await.unwrap().into_iter().collect();
    flipped.sort_unstable();
    assert_eq!(flipped, [1, 3, 5], "sold out, gone, new");
    assert_eq!(
        rows.stores.sql("SELECT id, name, stock, version, deleted, seq FROM products ORDER BY id").await,
        "1|old|0|2|f|11\n2|new|4|2|f|12\n3|old|0|1|t|14\n4|old|9|1|f|10\n5|first|1|1|f|13"
    );
}

#[tokio::test]
async fn position_is_below_the_first_missing_event() {
    let rows = Rows::start().await;
    let position = async || rows.positions.of("product:events").await.unwrap().map(|position| position.seq);
    assert_eq!(position().await, None);
    rows.positions.begin("product:events", 5.into()).await.unwrap();
    assert_eq!(position().await, Some(5));
    // A process that is killed now must apply the event, and invalidate the lists, once more.
    rows.catalogue.apply(&Changes::default(), &[6.into()]).await.unwrap();
    assert_eq!(position().await, Some(5));
    rows.positions.mark_applied("product:events", &[8.into(), 9.into()]).await.unwrap();
    assert_eq!(position().await, Some(5));
    rows.positions.mark_applied("product:events", &[6.into(), 9.into()]).await.unwrap();
    assert_eq!(position().await, Some(6));
    rows.positions.mark_applied("product:events", &[7.into()]).await.unwrap();
    assert_eq!(position().await, Some(9));
    // A missing number that is far behind the newest one counts as applied.
    rows.positions.mark_applied("product:events", &[200_000.into()]).await.unwrap();
    assert_eq!(position().await, Some(100_000));
}

#[tokio::test]
async fn similar_products_are_found_with_any_search_path() {
    let stores = Stores::start().await;
    let (_api, _service) = stores.both().await;
    let found = "SELECT count(*) FROM public.similar_products(13, 12)";
    let usual = stores.sql(found).await;
    assert_ne!(usual, "0");
    assert_eq!(stores.sql(&format!("SET search_path = ''; {found}")).await, usual);
}

/// Cached plans of prepared statements become invalid.
#[tokio::test]
async fn column_type_changed_online_fails_no_request() {
    let (stores, api, service) = started().await;
    for (round, kind) in [(0, "varchar(200)"), (1, "text"), (2, "varchar(300)")] {
        stores.sql(&format!("ALTER TABLE categories ALTER name TYPE {kind}")).await;
        // No list of these is cached yet.
        let requests =
            (1 + 20 * round..=20 + 20 * round).map(async |id| service.get(&format!("/recommendations/{id}")).await);
        for answer in join_all(requests).await {
            answer.expect(200);
        }
        let price = 13_901 + round;
        api.put("/products/25", &json!({ "price_cents": price })).await.expect(200);
        let is_new = |list: &Value| item(list, 25).is_some_and(|item| item["price_cents"] == price);
        until_list(&service, "/recommendations/13", "the new price", is_new).await;
    }
}
