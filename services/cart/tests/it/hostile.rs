//! Clients that send arbitrary bytes.

use testkit::http::{HOSTILE_SETTINGS, assert_survives_hostile_clients};

use crate::support::{CartOf, Fake, Stores};

#[tokio::test]
async fn hostile_clients_cause_no_5xx_and_leave_no_connection_behind() {
    let stores = Stores::start().await;
    let fake = Fake::start(3).await;
    let service = stores.cart_with(fake.url(), &HOSTILE_SETTINGS).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 1).await.expect(201);
    let (view, line) = (format!("/carts/{}", cart.id), format!("/carts/{}/items/1", cart.id));
    let paths =
        ["/carts", &view, &view, &line, &line, "/carts/1", "/events", "/cache/entries", "/metrics", "/docs/", "/", "*"];
    assert_survives_hostile_clients(&service, &paths, 2).await;
}
