//! Lists through the cache: the featured products (strategy 5) and the products of a category (strategy 6).

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use contract::CategoryId;
use service::problem::Problem;
use service::response::CacheResponse;

use super::problems;
use crate::catalogue::{CategoryPage, FeaturedList};
use crate::products::ProductService;
use crate::{NAME, lists};

/// Returns the featured products. Does not wait for the database while an entry exists, fresh or stale.
#[utoipa::path(
    get,
    path = "/products/featured",
    tag = "lists",
    responses((status = 200, body = FeaturedList), (status = 304), (status = 503, body = Problem))
)]
pub(super) async fn featured(request: HttpRequest, service: Data<ProductService>) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let fetched = lists::featured(&service).await.map_err(problems::fetch)?;
    Ok(answer.cached(&request, &fetched, "list"))
}

/// Returns the products of a category. Tags invalidate this list.
#[utoipa::path(
    get,
    path = "/products/by-category/{id}",
    tag = "lists",
    params(("id" = i64, Path, minimum = 1, example = 1)),
    responses(
        (status = 200, body = CategoryPage), (status = 304), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn by_category(
    request: HttpRequest, path: Path<String>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let id: CategoryId = path.parse()?;
    let fetched = lists::by_category(&service, id).await.map_err(problems::fetch)?;
    Ok(answer.cached(&request, &fetched, "category"))
}
