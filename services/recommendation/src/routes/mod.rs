//! The routes of the recommendation service. Handlers parse, call and respond.

mod recommendations;

use actix_web::web::ServiceConfig;
use service::http_metrics::resource;
use utoipa::OpenApi;

pub(crate) use recommendations::RecommendationService;

/// Mounts the routes.
#[rustfmt::skip] // A table reads better with one path to a line.
pub(crate) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(resource("/recommendations").get(recommendations::for_cart))
        .service(resource("/recommendations/{product_id}").get(recommendations::for_product));
}

/// The OpenAPI description, served at `/openapi.json` and shown at `/docs`.
#[derive(OpenApi, Debug)]
#[openapi(
    info(
        title = "Recommendation",
        description = "What is bought together, learned from carts, and what is similar, from the catalogue: never what cannot \
            be bought, never what was asked about. Lists are cached until something that they depend on changes. While the \
            product API is away they are made of what was last known; `catalogue` says how current that is.",
    ),
    paths(recommendations::for_product, recommendations::for_cart),
    components(schemas(recommendations::Answered)),
    tags((name = "recommendations", description = "Beside a product, and for a cart")),
)]
pub(crate) struct ApiDoc;
