//! `/categories`: the categories. A change invalidates every entry that shows the category (strategy 6).

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use contract::CategoryId;
use service::caching::Preconditions;
use service::problem::{Body, Problem};
use service::response::{CacheResponse, WrittenValidator, spawn_detached};

use super::problems;
use crate::catalogue::{Category, CategoryChange, Committed};
use crate::products::ProductService;
use crate::{NAME, categories};

/// Returns all categories, without a cache.
#[utoipa::path(
    get,
    path = "/categories",
    tag = "catalogue",
    responses((status = 200, body = Vec<Category>), (status = 304), (status = 503, body = Problem))
)]
pub(super) async fn all(request: HttpRequest, service: Data<ProductService>) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let permit = service.uncached_reads.permit_for_services().await?;
    let categories = service.catalogue.categories().await.map_err(problems::catalogue)?;
    drop(permit);
    Ok(answer.uncached(&request, &categories))
}

/// Changes a category, and invalidates every entry that carries its tag.
#[utoipa::path(
    put,
    path = "/categories/{id}",
    tag = "lists",
    params(("id" = i64, Path, minimum = 1, example = 1)),
    request_body = CategoryChange,
    responses(
        (status = 200, body = Category), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem),
    )
)]
pub(super) async fn write(
    request: HttpRequest, path: Path<String>, body: Body<CategoryChange>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let id: CategoryId = path.parse()?;
    let expect = Preconditions::of(&request)?;
    let change = body.valid()?;
    let written = spawn_detached(async move { categories::write(&service, id, &change, &expect).await });
    let (category, effect) = written.await?.map_err(problems::catalogue)?;
    let Committed { value: category, token } = category;
    Ok(answer.token(token).written(&category, WrittenValidator::Row(category.version), effect.word()))
}
