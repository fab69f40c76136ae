//! A fake product API whose responses the test controls: older data than its events report, none at all, or late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::web::{Data, Path, Query};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use testkit::Redis;

/// A fake product API. It ends with the test.
pub(crate) struct Fake {
    responses: Arc<Mutex<Responses>>,
    url: String,
    handle: actix_web::dev::ServerHandle,
}

/// The responses of the fake.
#[derive(Default)]
struct Responses {
    products: BTreeMap<i64, Value>,
    /// The numbers of products in each request, one entry per request.
    asked: Vec<usize>,
    unavailable: bool,
    /// A response is composed at once, and sent after a random delay up to this.
    late: Duration,
    /// A response is composed at once, and sent after this delay.
    slow: Duration,
    seq: u64,
}

impl Fake {
    /// Starts a fake that has the products 1 to `products`: price 100 × id, 50 in stock, version 1.
    pub(crate) async fn start(products: i64) -> Self {
        let responses = Arc::new(Mutex::new(Responses::default()));
        let data = Data::from(Arc::clone(&responses));
        let app = move || {
            App::new()
                .app_data(data.clone())
                .route("/products", web::get().to(several))
                .route("/products/{id}", web::get().to(one))
                .route("/events", web::get().to(events))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        let fake = Self { responses, url, handle };
        (1..=products).for_each(|id| fake.set_product(id, 1, &json!({})));
        fake
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sets what it returns for a product.
    pub(crate) fn set_product(&self, id: i64, version: i64, fields: &Value) {
        let mut product = json!({
            "id": id, "name": format!("Product {id}"), "description": "", "price_cents": 100 * id, "stock": 50,
            "featured": false, "category": { "id": 1, "name": "All" }, "version": version,
            "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z",
        });
        for (field, value) in fields.as_object().expect("fields") {
            product[field] = value.clone();
        }
        lock(&self.responses).products.insert(id, product);
    }

    /// Makes it return that there is no such product.
    pub(crate) fn remove_product(&self, id: i64) {
        lock(&self.responses).products.remove(&id);
    }

    /// Sets whether it returns 503.
    pub(crate) fn set_unavailable(&self, unavailable: bool) {
        lock(&self.responses).unavailable = unavailable;
    }

    /// Sets the maximum random delay of its responses.
    pub(crate) fn set_late(&self, late: Duration) {
        lock(&self.responses).late = late;
    }

    /// Sets the delay of its responses.
    pub(crate) fn set_slow(&self, slow: Duration) {
        lock(&self.responses).slow = slow;
    }

    /// Returns how many products each request since the last call has named.
    pub(crate) fn asked(&self) -> Vec<usize> {
        std::mem::take(&mut lock(&self.responses).asked)
    }

    /// Appends an event about a product to the stream, and returns its number.
    pub(crate) async fn publish(&self, redis: &Redis, kind: &str, id: i64, version: i64) -> u64 {
        self.publish_together(redis, kind, &[id], version).await
    }

    /// Appends an event about each of these products in one step, so that one consumer receives all of them. Returns
    /// the number of the last event.
    pub(crate) async fn publish_together(&self, redis: &Redis, kind: &str, ids: &[i64], version: i64) -> u64 {
        let changes: Vec<_> = ids.iter().map(|id| (kind, *id, version)).collect();
        self.publish_changes(redis, &changes).await
    }

    /// Appends an event about each of these changes in one step: a kind, a product and its version. Returns the number of
    /// the last event.
    pub(crate) async fn publish_changes(&self, redis: &Redis, changes: &[(&str, i64, i64)]) -> u64 {
        let event = |(kind, id, version): &(&str, i64, i64)| {
            let seq = {
                let mut responses = lock(&self.responses);
                responses.seq += 1;
                responses.seq
            };
            let event = json!({
                "event_id": format!("01936f2e-7b3c-7000-8000-{seq:012}"), "seq": seq, "schema": 1, "type": kind,
                "product_id": id, "version": version, "category_id": 1, "changed": ["price_cents"],
                "occurred_at": "2026-11-22T10:00:00Z",
            });
            (seq, event)
        };
        let events: Vec<(u64, Value)> = changes.iter().map(event).collect();
        redis.append_events("product:events", &events).await;
        events.last().map_or(0, |(seq, _)| *seq)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // The stop is sent at once; the test need not wait for it.
        drop(self.handle.stop(false));
    }
}

fn lock(responses: &Mutex<Responses>) -> MutexGuard<'_, Responses> {
    responses.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn one(id: Path<i64>, responses: Data<Mutex<Responses>>) -> HttpResponse {
    let (unavailable, product) = {
        let responses = lock(&responses);
        (responses.unavailable, responses.products.get(&id).cloned())
    };
    match product {
        _ if unavailable => HttpResponse::ServiceUnavailable().finish(),
        Some(product) => HttpResponse::Ok().json(product),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn several(query: Query<BTreeMap<String, String>>, responses: Data<Mutex<Responses>>) -> HttpResponse {
    let ids: Vec<i64> = query["ids"].split(',').map(|id| id.parse().expect("ids")).collect();
    let (unavailable, late, slow, products) = {
        let mut responses = lock(&responses);
        let products: Vec<Value> = ids.iter().filter_map(|id| responses.products.get(id).cloned()).collect();
        // The cart checks with this id whether the product API responds.
        if ids == [i64::MAX] {
            (responses.unavailable, Duration::ZERO, Duration::ZERO, products)
        } else {
            responses.asked.push(ids.len());
            (responses.unavailable, responses.late, responses.slow, products)
        }
    };
    tokio::time::sleep(slow).await;
    if !late.is_zero() {
        let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
        tokio::time::sleep(late * u32::try_from(spread).unwrap_or(0) / 255).await;
    }
    match unavailable {
        true => HttpResponse::ServiceUnavailable().finish(),
        false => HttpResponse::Ok().json(json!({ "products": products })),
    }
}

async fn events(responses: Data<Mutex<Responses>>) -> HttpResponse {
    let responses = lock(&responses);
    match responses.unavailable {
        true => HttpResponse::ServiceUnavailable().finish(),
        false => HttpResponse::Gone().finish(),
    }
}
