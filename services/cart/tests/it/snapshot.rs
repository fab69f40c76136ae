//! `GET /events/snapshot`: the lines of all carts, for a consumer that has lost events.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{CartOf, started};

#[tokio::test]
async fn snapshot_lists_every_line_once_whatever_the_size_of_its_pages() {
    let (_stores, _fake, service) = started(3).await;
    let mut expected = BTreeSet::new();
    let mut ids = Vec::new();
    for products in [&[1][..], &[1, 2, 3], &[], &[2], &[3, 1], &[]] {
        let cart = CartOf::at(&service).await;
        for product in products {
            let line = cart.put(*product, 2).await.expect(201).json();
            expected.insert((cart.reference(), *product, 2, line["version"].as_i64().expect("a version")));
        }
        ids.push(cart.id);
    }
    // A removed line is not in the cart.
    let emptied = CartOf { service: &service, id: ids[0].clone() };
    emptied.remove(1).await.expect(204);
    expected.retain(|(reference, ..)| *reference != emptied.reference());

    for limit in ["1", "2", "5", "6", "100"] {
        let (mut lines, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = service.get(&format!("/events/snapshot?limit={limit}{cursor}")).await.expect(200);
            assert!(ids.iter().all(|id| !page.text().contains(id)), "a page gives a cart's id away: {}", page.text());
            let page = page.json();
            lines.extend(page["lines"].as_array().expect("lines").iter().map(line));
            pages += 1;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(lines.len(), expected.len(), "each once, by {limit}");
        assert_eq!(lines.into_iter().collect::<BTreeSet<_>>(), expected, "by {limit}");
        assert!(pages > 1 || limit == "100", "{pages} pages, by {limit}");
    }
}

fn line(line: &Value) -> (String, i64, i64, i64) {
    let number = |field: &str| line[field].as_i64().expect("a number");
    let reference = line["cart_id"].as_str().expect("a reference").to_owned();
    (reference, number("product_id"), number("quantity"), number("version"))
}

#[tokio::test]
async fn snapshot_refuses_invalid_page_parameters() {
    let (_stores, _fake, service) = started(1).await;
    assert_eq!(service.get("/events/snapshot").await.expect(200).json(), json!({ "lines": [] }));
    for limit in ["0", "101"] {
        service.get(&format!("/events/snapshot?limit={limit}")).await.problem(422, "invalid-fields");
    }
    for query in ["limit=many", "cursor=1", "after=1"] {
        service.get(&format!("/events/snapshot?{query}")).await.problem(400, "malformed");
    }
}
