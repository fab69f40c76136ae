//! The routes of the search service.

mod input;
mod search;

use actix_web::web::ServiceConfig;
use service::http_metrics::resource;
use utoipa::OpenApi;

use crate::query::page::{CategoryRef, Facet, Hit, Match, Page};
use crate::state::IndexState;

pub(crate) use search::SearchService;

/// Mounts the routes.
pub(crate) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(resource("/search").get(search::search));
}

/// The OpenAPI description, served at `/openapi.json` and shown at `/docs`.
#[derive(OpenApi, Debug)]
#[openapi(
    info(
        title = "Search",
        description = "Full-text search over the catalogue, in an index that events keep current. \
            Result pages are cached, and removed by what they show and by what could enter them.",
    ),
    paths(search::search),
    components(schemas(search::Results, Page, Match, Hit, Facet, CategoryRef, IndexState)),
    tags((name = "search", description = "Products by what is said of them")),
)]
pub(crate) struct ApiDoc;
