//! The routes of the product API, all of them on this screen.
//!
//! Handlers parse, call and respond; what a strategy does stands in `strategies/`.

mod answer;
mod catalogue;
mod categories;
mod conditions;
mod input;
mod lists;
mod products;
mod trouble;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

use crate::catalogue::{Category, CategoryPage, FeaturedList, NewProduct, Product, ProductChange, ProductPage};

/// Mounts the routes. The most travelled ones come first: actix tries patterns in order.
pub(crate) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(
        web::scope("/products")
            .service(lists::by_category)
            .service(products::delete_explicit)
            .service(products::read)
            .service(products::write)
            .service(lists::featured)
            .service(catalogue::read)
            .service(catalogue::write)
            .service(catalogue::delete)
            .service(catalogue::page)
            .service(catalogue::create),
    )
    .service(categories::all)
    .service(categories::write);
}

/// The description of the API, served at `/openapi.json` and shown at `/docs`.
#[derive(OpenApi, Debug)]
#[openapi(
    info(
        title = "Product API",
        description = "A catalogue on Postgres, read through seven cache invalidation strategies on Redis. \
            Each strategy has entries of its own, so that the same product can be compared lane by lane.",
    ),
    paths(
        products::read, products::write, products::delete_explicit,
        lists::featured, lists::by_category,
        catalogue::page, catalogue::create, catalogue::read, catalogue::write, catalogue::delete,
        categories::all, categories::write,
    ),
    components(schemas(Product, ProductPage, NewProduct, ProductChange, Category, CategoryPage, FeaturedList)),
    tags(
        (name = "strategies", description = "One product, seven ways"),
        (name = "lists", description = "Strategies 5 and 6 on lists"),
        (name = "catalogue", description = "The truth, without a cache"),
    ),
)]
pub(crate) struct ApiDoc;
