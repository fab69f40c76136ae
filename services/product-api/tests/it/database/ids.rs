//! Ids that the database assigns after other ids were inserted by hand.

use serde_json::json;

use crate::support::{Stores, started};

async fn create(api: &crate::support::Api) -> i64 {
    let new = json!({ "name": "New", "price_cents": 1, "category_id": 1 });
    api.post("/products", &new).await.expect(201).json()["id"].as_i64().expect("an id")
}

fn by_hand(ids: &str) -> String {
    format!("INSERT INTO products (id, name, price_cents, category_id) SELECT id, 'by hand', 1, 1 FROM {ids} AS id")
}

#[tokio::test]
async fn new_product_gets_the_next_free_id_after_any_number_inserted_by_hand() {
    let (stores, api) = started().await;
    stores.sql(&by_hand("generate_series(131, 131)")).await;
    assert_eq!(create(&api).await, 132);
    stores.sql(&by_hand("generate_series(133, 1132)")).await;
    assert_eq!(create(&api).await, 1133);
    stores.sql(&by_hand("unnest(ARRAY[1134, 1136, 1138, 9223372036854775807])")).await;
    assert_eq!([create(&api).await, create(&api).await, create(&api).await], [1135, 1137, 1139]);
    // Many ids at once.
    stores.sql(&by_hand("generate_series(1140, 1200)")).await;
    let mut ids = futures_util::future::join_all((0..16).map(|_| create(&api))).await;
    ids.sort_unstable();
    assert_eq!(ids, (1201..1217).collect::<Vec<_>>());
    stores.whole_stream().await;
}

#[tokio::test]
async fn id_inserted_by_hand_and_not_committed_yet_costs_another_attempt() {
    let (stores, api) = started().await;
    let mut other = stores.connect().await;
    let insert = format!("BEGIN; {}", by_hand("generate_series(131, 131)"));
    diesel_async::SimpleAsyncConnection::batch_execute(&mut other, &insert).await.expect("the test's own SQL");
    let commit = async {
        stores.until_waiting(1).await;
        diesel_async::SimpleAsyncConnection::batch_execute(&mut other, "COMMIT").await.expect("the session lives");
    };
    let (id, ()) = tokio::join!(create(&api), commit);
    assert_eq!(id, 132);
}

#[tokio::test]
async fn generated_category_and_outbox_ids_pass_over_those_inserted_by_hand() {
    let (stores, api) = started().await;
    stores
        .sql("INSERT INTO categories (id, name) SELECT id, 'by hand ' || id FROM generate_series(13, 1012) AS id")
        .await;
    assert_eq!(stores.sql("INSERT INTO categories (name) VALUES ('new') RETURNING id").await, "1013");
    let event =
        "announce('product.updated', '{\"product_id\": 5, \"version\": 1, \"category_id\": 1, \"changed\": []}')";
    let next = "(SELECT last_value FROM outbox_id_seq)";
    let by_hand =
        format!("INSERT INTO outbox (id, event) SELECT {next} + n, {event} FROM generate_series(1, 1000) AS n");
    stores.sql(&by_hand).await;
    api.put("/products/1", &json!({ "stock": 1 })).await.expect(200);
    api.put("/products/2", &json!({ "stock": 1 })).await.expect(200);
    // A restore sets the sequence back.
    stores.sql("SELECT setval('outbox_id_seq', 5)").await;
    api.put("/products/3", &json!({ "stock": 1 })).await.expect(200);
    stores.whole_stream().await;
}

#[tokio::test]
async fn seed_passes_over_ids_inserted_by_hand() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("SEED_PRODUCTS", "0")]).await;
    stores.sql(&by_hand("generate_series(1, 20)")).await;
    stores.sql(&by_hand("generate_series(100, 1100)")).await;
    api.stop().await;
    let api = stores.api().await;
    assert_eq!(stores.sql("SELECT count(*) FROM products WHERE name = 'by hand'").await, "1021");
    assert_eq!(stores.sql("SELECT count(*) FROM products WHERE id BETWEEN 21 AND 99").await, "79");
    assert_eq!(create(&api).await, 1101);
}
