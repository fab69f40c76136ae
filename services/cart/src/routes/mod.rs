//! The routes of the cart, all of them on this screen. Handlers parse, call and respond.

mod carts;
mod input;
mod items;
mod problems;
mod snapshot;

use actix_web::web::ServiceConfig;
use events::carts::CartSnapshotPage;
use runtime::http_metrics::resource;
use utoipa::OpenApi;

use crate::carts::{NewCart, Quantity};
use crate::service::WrittenLine;
use crate::view::View;

/// Mounts the routes. All methods of a path stand in one resource: any other method is answered by 405 and their list.
#[rustfmt::skip] // A table reads better with one path to a line.
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
        description = "Durable carts, and views of them with current prices. A view is cached until somebody writes to the \
            cart or one of its products changes. Without the product API it shows what was last known, flagged `stale`.",
    ),
    paths(carts::create, carts::read, items::put, items::remove, snapshot::page),
    components(schemas(NewCart, Quantity, WrittenLine, View, CartSnapshotPage)),
    tags((name = "carts", description = "Carts and their lines"), (name = "events", description = "What has changed")),
)]
pub(crate) struct ApiDoc;
