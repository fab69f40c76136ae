//! A cart of a service under test.

use serde_json::{Value, json};
use testkit::eventually;

use super::{SOON, Service, TestResponse};

/// A cart, and the service through which the test accesses it.
pub(crate) struct CartOf<'a> {
    pub(crate) service: &'a Service,
    pub(crate) id: String,
}

impl<'a> CartOf<'a> {
    pub(crate) async fn at(service: &'a Service) -> Self {
        let created = service.post("/carts", &json!({})).await.expect(201).json();
        Self { service, id: created["id"].as_str().expect("an id").to_owned() }
    }

    /// Creates a cart with one piece of each of these products.
    pub(crate) async fn with(service: &'a Service, products: &[i64]) -> Self {
        let cart = Self::at(service).await;
        for product in products {
            cart.put(*product, 1).await.expect(201);
        }
        cart
    }

    /// Returns the same cart, accessed through another service.
    pub(crate) fn through<'b>(&self, service: &'b Service) -> CartOf<'b> {
        CartOf { service, id: self.id.clone() }
    }

    pub(crate) fn reference(&self) -> String {
        contract::cart_reference(self.id.parse().expect("a UUID")).to_string()
    }

    pub(crate) fn key(&self) -> String {
        view_key(&self.id)
    }

    pub(crate) fn path(&self) -> String {
        format!("/carts/{}", self.id)
    }

    pub(crate) fn item(&self, product: i64) -> String {
        format!("/carts/{}/items/{product}", self.id)
    }

    pub(crate) async fn view(&self) -> TestResponse {
        self.service.get(&self.path()).await
    }

    /// Returns the view once it is cached: the invalidations in the background (the relay after a write, a new group's
    /// resync) have ended.
    pub(crate) async fn cached(&self) -> TestResponse {
        eventually("a hit", SOON, async || {
            let view = self.view().await.expect(200);
            view.source().starts_with("hit").then_some(view)
        })
        .await
    }

    pub(crate) async fn put(&self, product: i64, quantity: i64) -> TestResponse {
        self.service.put(&self.item(product), &json!({ "quantity": quantity })).await
    }

    pub(crate) async fn remove(&self, product: i64) -> TestResponse {
        self.service.delete(&self.item(product)).await
    }

    /// Returns the line of a product in the view, or null if there is none.
    pub(crate) async fn line(&self, product: i64) -> Value {
        line(&self.view().await.expect(200).json(), product)
    }
}

/// Returns the key of the view of the cart `id`.
pub(crate) fn view_key(id: &str) -> String {
    format!("cart:view:{}", contract::cart_reference(id.parse().expect("a UUID")))
}

/// Returns the line of a product in a view, or null if there is none.
#[track_caller]
pub(crate) fn line(view: &Value, product: i64) -> Value {
    let lines = view["lines"].as_array().unwrap_or_else(|| panic!("no lines in {view}"));
    lines.iter().find(|line| line["product_id"] == product).cloned().unwrap_or_default()
}
