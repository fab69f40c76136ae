//! The log over HTTP, for consumers that have missed events, and several products in one request, for the same
//! consumers. The retention of events, and the length of the stream.

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{SOON, STREAM, Stores, seq, started};

fn numbers(page: &Value) -> Vec<i64> {
    page["events"].as_array().expect("a list").iter().map(seq).collect()
}

#[tokio::test]
async fn pages_of_the_log_together_equal_the_stream() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("SEED_PRODUCTS", "600")]).await;
    stores.sql("UPDATE products SET stock = 777 WHERE id < 5").await;
    let stream = stores.whole_stream().await;
    for limit in [1, 37, 500] {
        let (mut events, mut after) = (Vec::new(), 0);
        // Page by page; for small pages only the last few events.
        after += if limit == 1 { 600 } else { 0 };
        loop {
            let page = api.get(&format!("/events?after={after}&limit={limit}")).await.expect(200).json();
            assert_eq!(page["head"], 616);
            let Some(last) = numbers(&page).last().copied() else { break };
            assert!(numbers(&page).len() <= limit);
            after = last;
            events.extend(page["events"].as_array().cloned().unwrap_or_default());
        }
        assert_eq!(events, stream[stream.len() - events.len()..], "limit {limit}");
        assert_eq!(events.len(), if limit == 1 { 16 } else { 616 });
    }
    let page = api.get("/events").await.expect(200).json();
    assert_eq!(numbers(&page), (1..=500).collect::<Vec<i64>>(), "from the beginning, 500 at once");
    let page = api.get("/events?after=610&limit=3").await.expect(200).json();
    assert_eq!((numbers(&page), &page["head"]), (vec![611, 612, 613], &json!(616)));
    // No events: the client is up to date, or ahead, as after a restore of the database.
    for after in ["616", "617", "100000", "9223372036854775807", "18446744073709551615"] {
        let page = api.get(&format!("/events?after={after}")).await.expect(200).json();
        assert_eq!((&page["events"], &page["head"]), (&json!([]), &json!(616)), "after {after}");
    }
}

#[tokio::test]
async fn invalid_query_is_refused_with_the_name_of_the_parameter() {
    let (_stores, api) = started().await;
    let too_many = (1..=501).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let too_many = format!("/products?ids={too_many}");
    for (path, status, field) in [
        ("/events?limit=0", 422, "limit"),
        ("/events?limit=501", 422, "limit"),
        ("/events?limit=-1", 400, "limit"),
        ("/events?limit=all", 400, "limit"),
        ("/events?after=-1", 400, "after"),
        ("/events?after=", 400, "after"),
        ("/events?after=1-0", 400, "after"),
        ("/events?after=18446744073709551616", 400, "after"),
        ("/events?before=7", 400, "before"),
        ("/products?ids=", 422, "ids"),
        ("/products?ids=1,,2", 422, "ids"),
        ("/products?ids=1,2,", 422, "ids"),
        ("/products?ids=0", 422, "ids"),
        ("/products?ids=-1", 422, "ids"),
        ("/products?ids=1;2", 422, "ids"),
        ("/products?ids=9223372036854775808", 422, "ids"),
        ("/products?ids=1&limit=5", 422, "ids"),
        ("/products?ids=1&cursor=5", 422, "ids"),
        (&too_many, 422, "ids"),
        ("/products?id=1", 400, "id"),
    ] {
        let kind = if status == 422 { "invalid-fields" } else { "malformed" };
        let problem = api.get(path).await.problem(status, kind);
        assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
    }
}

#[tokio::test]
async fn several_products_in_one_request_return_those_that_exist() {
    let (stores, api) = started().await;
    let ids = async |ids: &str| {
        let page = api.get(&format!("/products?ids={ids}")).await.expect(200).json();
        assert_eq!(page.get("next_cursor"), None);
        let products = page["products"].as_array().expect("a list").clone();
        products.iter().map(|product| product["id"].as_i64().expect("an id")).collect::<Vec<_>>()
    };
    assert_eq!(ids("9,4711,3,130,3").await, [3, 9, 130], "by id, each once, the missing left out");
    assert_eq!(ids("9%2C3").await, [3, 9]);
    assert_eq!(ids("4711").await, [0; 0]);
    let many = (1..=500).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(ids(&many).await, (1..=130).collect::<Vec<i64>>());
    // As recent as the database, and the same as one by one.
    stores.sql("UPDATE products SET stock = 888 WHERE id = 3").await;
    let page = api.get("/products?ids=3").await.expect(200).json();
    assert_eq!(page["products"][0], api.get("/products/3").await.expect(200).json());
    assert_eq!(page["products"][0]["stock"], 888);
}

const SHORT: [(&str, &str); 3] =
    [("RELAY__RETENTION", "1s"), ("RELAY__PRUNE_EVERY", "100ms"), ("RELAY__POLL", "100ms")];

async fn until_pruned(stores: &Stores) {
    eventually("the end of the retention", SOON, async || stores.sql("SELECT count(*) FROM outbox").await == "0").await;
}

#[tokio::test]
async fn log_query_for_pruned_events_is_410() {
    let stores = Stores::start().await;
    let api = stores.api_with(&SHORT).await;
    until_pruned(&stores).await;
    for after in [0, 1, 141] {
        let gone = api.get(&format!("/events?after={after}")).await.problem(410, "gone");
        assert!(gone["detail"].as_str().is_some_and(|detail| detail.contains(&after.to_string())), "{gone}");
    }
    let page = api.get("/events?after=142").await.expect(200).json();
    assert_eq!((&page["events"], &page["head"]), (&json!([]), &json!(142)));
    // This one keeps the next event for longer than the test takes.
    drop(api);
    let api = stores.api().await;
    stores.sql("UPDATE products SET stock = 777 WHERE id = 1").await;
    stores.until_published().await;
    let page = api.get("/events?after=142").await.expect(200).json();
    assert_eq!((seq(&page["events"][0]), &page["head"]), (143, &json!(143)));
    api.get("/events?after=141").await.problem(410, "gone");
    assert_eq!(stores.stream().await.len(), 143, "the stream has its own bound");
}

/// One statement for all of them would keep the relay from publishing.
#[tokio::test]
async fn many_old_events_are_deleted_in_steps() {
    let stores = Stores::start().await;
    let _api = stores.api_with(&[&SHORT[..], &[("SEED_PRODUCTS", "600")]].concat()).await;
    until_pruned(&stores).await;
    stores
        .sql(
            "CREATE TABLE steps (count bigint);
             CREATE FUNCTION record_step() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO steps SELECT count(*) FROM gone; RETURN NULL; END $$;
             GRANT INSERT ON steps TO PUBLIC;
             CREATE TRIGGER record_step AFTER DELETE ON outbox REFERENCING OLD TABLE AS gone
                 FOR EACH STATEMENT EXECUTE FUNCTION record_step();
             DO $$ BEGIN FOR n IN 1..10 LOOP UPDATE products SET stock = 5000 + n; END LOOP; END $$",
        )
        .await;
    until_pruned(&stores).await;
    assert_eq!(stores.sql("SELECT sum(count) FROM steps").await, "6000");
    assert_eq!(stores.sql("SELECT max(count) <= 2000 FROM steps").await, "t");
}

#[tokio::test]
async fn unpublished_events_are_kept_at_any_age() {
    let stores = Stores::start().await;
    let api = stores.api_with(&SHORT).await;
    until_pruned(&stores).await;
    stores.redis.pause();
    stores.sql("UPDATE products SET stock = 777 WHERE id < 4").await;
    stores.until_numbered_and_waiting(3).await;
    stores.sql("UPDATE outbox SET occurred_at = occurred_at - interval '1 day'").await;
    let page = api.get("/events?after=142").await.expect(200).json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(3));
    stores.redis.resume();
    eventually("the stream", SOON, async || stores.stream().await.last().map(seq) == Some(145)).await;
    until_pruned(&stores).await;
}

/// There is nothing to replay: the stream begins with the next event, under its number.
#[tokio::test]
async fn empty_redis_without_recent_events_begins_with_the_next_number() {
    let stores = Stores::start().await;
    let api = stores.api_with(&SHORT).await;
    until_pruned(&stores).await;
    stores.redis.restart().await.expect("it starts");
    eventually("an event to arrive", SOON, async || {
        api.put("/products/1", &json!({ "stock": stores.head().await })).await.expect(200);
        stores.stream().await.last().map(seq) > Some(142)
    })
    .await;
    assert_eq!(stores.stream().await.first().map(seq), Some(143));
}

#[tokio::test]
async fn the_stream_keeps_about_as_many_events_as_it_may() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("RELAY__STREAM_LENGTH", "100"), ("SEED_PRODUCTS", "1000")]).await;
    stores.sql("UPDATE products SET stock = stock + 1").await;
    stores.until_published().await;
    let stream = stores.stream().await;
    assert!((100..=300).contains(&stream.len()), "{}", stream.len());
    assert_eq!(stream.last().map(seq), Some(2_012));
    // The log still has the trimmed events, and a new stream receives no more than it may hold.
    assert_eq!(seq(&api.get("/events?limit=1").await.expect(200).json()["events"][0]), 1);
    stores.redis(&["DEL", STREAM]).await;
    stores.sql("UPDATE products SET stock = stock + 1 WHERE id = 1").await;
    stores.until_published().await;
    let stream = stores.stream().await;
    assert!((100..=300).contains(&stream.len()), "{}", stream.len());
    assert_eq!(stream.last().map(seq), Some(2_013));
}

/// Postgres accepts numbers and depths that a parser refuses.
#[tokio::test]
async fn row_that_cannot_be_parsed_does_not_hide_the_others() {
    let (stores, api) = started().await;
    let head = stores.settled_head().await;
    let depths = [124, 125, 126, 127, 128, 1_200];
    let deep = depths.map(|depth| format!("{{\"a\": {}1{}}}", "[".repeat(depth), "]".repeat(depth)));
    for event in deep.iter().map(String::as_str).chain([r#"{"type": "x", "n": 1e400}"#]) {
        stores.sql(&format!("INSERT INTO outbox (event) VALUES ('{event}')")).await;
    }
    let rows = depths.len() + 2;
    stores.sql("UPDATE products SET stock = 777 WHERE id = 1").await;
    let page = eventually("the events", SOON, async || {
        let page = api.get(&format!("/events?after={head}")).await.expect(200).json();
        (page["events"].as_array().is_some_and(|events| events.len() == rows)).then_some(page)
    })
    .await;
    assert_eq!(numbers(&page), (head + 1..=head + rows as i64).collect::<Vec<_>>());
    let (change, number) = (&page["events"][rows - 1], &page["events"][rows - 2]);
    assert!(number["unreadable"].as_str().is_some_and(|text| text.contains("\"type\"")), "{number}");
    assert_eq!((&change["product_id"], &change["epoch"]), (&json!(1), &number["epoch"]));
    // The relay goes on.
    assert_eq!(stores.settled_head().await, head + rows as i64);
    let refused = stores.try_sql("INSERT INTO outbox (event) VALUES ('[]')").await.expect_err("no object").to_string();
    assert!(refused.contains("outbox_event_object"), "{refused}");
}
