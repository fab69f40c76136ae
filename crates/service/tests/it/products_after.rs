//! The rows of products that events name, from a product API that lags behind the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use contract::product_api::ProductApi;
use outbox::log::EventLog;
use serde_json::{Value, json};
use service::events::{PRODUCT_EVENTS, ProductEvent};
use service::products_after::{categories_after, products_after};

/// How many requests each of the two routes has received.
#[derive(Default)]
struct Requests {
    products: AtomicUsize,
    events: AtomicUsize,
}

/// A product API whose rows and whose log reach an event when they have been asked `lag` times.
async fn lagging(lag: usize, before: Option<i64>, after: Option<i64>) -> (String, Arc<Requests>) {
    let requests = Arc::new(Requests::default());
    let data = Data::from(Arc::clone(&requests));
    let page = move |version: Option<i64>| {
        let product = |version| {
            json!({
                "id": 1, "name": "Lamp", "description": "", "price_cents": 1, "stock": 1, "version": version,
                "category": { "id": 1, "name": "Lighting" }, "featured": false, "updated_at": "2026-11-22T10:00:00Z",
            })
        };
        json!({ "products": version.map(product).into_iter().collect::<Vec<Value>>() })
    };
    let server = HttpServer::new(move || {
        let products = move |requests: Data<Requests>| async move {
            requests.products.fetch_add(1, Ordering::Relaxed);
            let has_arrived = requests.events.load(Ordering::Relaxed) > lag;
            HttpResponse::Ok().json(page(if has_arrived { after } else { before }))
        };
        let events = move |requests: Data<Requests>| async move {
            let asked = requests.events.fetch_add(1, Ordering::Relaxed);
            HttpResponse::Ok().json(json!({ "events": [], "head": if asked >= lag { 5 } else { 4 } }))
        };
        App::new()
            .app_data(data.clone())
            .route("/products", web::get().to(products))
            .route("/events", web::get().to(events))
            .route("/categories", web::get().to(async || HttpResponse::Ok().json(json!([]))))
    });
    let server = server.workers(1).bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    tokio::spawn(server.run());
    (url, requests)
}

fn event(kind: &str, version: i64) -> ProductEvent {
    let json = json!({
        "event_id": "01936f2e-7b3c-7000-8000-000000000000", "seq": 5, "type": kind, "product_id": 1, "version": version,
         "category_id": 1, "changed": ["price_cents"], "occurred_at": "2026-11-22T10:00:00Z",
    });
    ProductEvent::parse(json.to_string().as_bytes(), PRODUCT_EVENTS.types).unwrap()
}

async fn versions(url: &str, version: i64) -> Vec<i64> {
    versions_after(url, &[event("product.updated", version)]).await
}

async fn versions_after(url: &str, events: &[ProductEvent]) -> Vec<i64> {
    let client = reqwest::Client::new();
    let (api, log) = (ProductApi::new(url, client.clone()), EventLog::new(url, client));
    let products = products_after(events, &[1], &api, &log).await.unwrap();
    products.iter().map(|product| product.version).collect()
}

#[actix_web::test]
async fn row_older_than_its_event_is_read_again_when_the_log_has_the_event() {
    let (url, requests) = lagging(3, Some(1), Some(2)).await;
    assert_eq!(versions(&url, 2).await, [2]);
    assert_eq!(requests.products.load(Ordering::Relaxed), 2);
    let (url, _) = lagging(3, None, Some(2)).await;
    assert_eq!(versions(&url, 2).await, [2]);
}

#[actix_web::test]
async fn row_from_before_a_deletion_is_not_returned() {
    let (url, _) = lagging(3, Some(3), None).await;
    assert_eq!(versions_after(&url, &[event("product.deleted", 3)]).await, [0i64; 0]);
    // It was deleted and created again.
    let (url, _) = lagging(3, Some(7), Some(2)).await;
    let events = [event("product.deleted", 7), event("product.created", 1), event("product.updated", 2)];
    assert_eq!(versions_after(&url, &events).await, [2]);
}

/// A database that lags for longer is waited for by the caller, which keeps the events.
#[actix_web::test]
async fn row_of_a_log_that_stays_behind_is_not_returned() {
    let (url, _) = lagging(usize::MAX, Some(1), Some(2)).await;
    let client = reqwest::Client::new();
    let (api, log) = (ProductApi::new(&url, client.clone()), EventLog::new(&url, client));
    let events = [event("product.updated", 2)];
    let behind = products_after(&events, &[1], &api, &log).await.expect_err("the row is older than the event");
    assert!(behind.to_string().contains("before event 5"), "{behind}");
    // A restored database has begun another epoch, and may never reach the number.
    let events = events.map(|event| ProductEvent { epoch: Some(event.event_id), ..event });
    let products = products_after(&events, &[1], &api, &log).await.unwrap();
    assert_eq!(products[0].version, 1);
}

#[actix_web::test]
async fn categories_are_read_when_the_log_has_the_event() {
    let (url, requests) = lagging(3, None, None).await;
    let client = reqwest::Client::new();
    let (api, log) = (ProductApi::new(&url, client.clone()), EventLog::new(&url, client));
    let categories = categories_after(&[event("category.updated", 2)], &api, &log).await.unwrap();
    assert_eq!((categories, requests.events.load(Ordering::Relaxed)), (vec![], 4));
}

#[actix_web::test]
async fn product_that_was_deleted_after_its_event_is_not_waited_for() {
    let (url, requests) = lagging(0, None, None).await;
    assert_eq!(versions(&url, 2).await, [0i64; 0]);
    assert_eq!((requests.products.load(Ordering::Relaxed), requests.events.load(Ordering::Relaxed)), (2, 1));
}

#[actix_web::test]
async fn current_row_needs_no_second_request() {
    let (url, requests) = lagging(0, Some(2), Some(2)).await;
    assert_eq!(versions(&url, 2).await, [2]);
    assert_eq!((requests.products.load(Ordering::Relaxed), requests.events.load(Ordering::Relaxed)), (1, 0));
}
