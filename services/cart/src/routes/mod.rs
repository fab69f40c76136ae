//! The routes of the cart, in one table. Handlers parse the request, call the service and build the response.

mod carts;
mod items;
mod problems;
mod snapshot;

use actix_web::web::ServiceConfig;
use contract::cart_snapshot::CartSnapshotPage;
use service::http_metrics::resource;
use utoipa::OpenApi;

use crate::cart_service::WrittenLine;
use crate::carts::{NewCart, Quantity};
use crate::view::View;

/// Registers the routes. All methods of a path belong to one resource, so that any other method is answered with 405
/// and the list of the allowed methods.
#[rustfmt::skip] // One path per line is easier to read in a table.
pub(crate) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(resource("/carts").post(carts::create))
        .service(resource("/carts/{id}").get(carts::read))
        .service(resource("/carts/{id}/items/{product_id}").put(items::put).delete(items::remove))
        .service(resource("/events/snapshot").get(snapshot::page));
}

/// The description of the API, served at `/openapi.json` and shown at `/docs`.
#[derive(OpenApi, Debug)]
#[openapi(
    info(
        title = "Cart",
        description = "Durable carts, and views of them with current prices. A view is cached until a client writes to the \
            cart or one of its products changes. Without the product API it shows what was last known, flagged `stale`.",
    ),
    paths(carts::create, carts::read, items::put, items::remove, snapshot::page),
    components(schemas(NewCart, Quantity, WrittenLine, View, CartSnapshotPage)),
    tags((name = "carts", description = "Carts and their lines"), (name = "events", description = "What has changed")),
)]
pub(crate) struct ApiDoc;
