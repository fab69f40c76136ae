//! `/products/{strategy}/{id}`: one product, through any of the seven strategies.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use contract::ProductId;
use service::caching::Preconditions;
use service::problem::{Body, Problem};
use service::response::{CacheResponse, WrittenValidator, consistency_token, spawn_detached};

use super::problems;
use crate::NAME;
use crate::catalogue::{Committed, Product, ProductChange, ProductWrite};
use crate::products::ProductService;
use crate::strategies::Strategy;

/// Reads a product through the cache.
#[utoipa::path(
    get,
    path = "/products/{strategy}/{id}",
    tag = "strategies",
    params(
        ("strategy" = Strategy, Path), ("id" = i64, Path, minimum = 1, example = 1),
        ("x-consistency-token" = Option<String>, Header, nullable = false, pattern = r"^[0-9]{1,18}$",
            description = "The token of a write that the response must show; `ttl` and `swr` do not honour it"),
    ),
    responses(
        (status = 200, body = Product, description = "`Cache-Status` (RFC 9211) says where it came from"),
        (status = 304, description = "Its `ETag` is the one that `If-None-Match` names"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn read(
    request: HttpRequest, path: Path<(String, String)>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let (strategy, id) = (path.0.parse::<Strategy>()?, path.1.parse::<ProductId>()?);
    let fetched = strategy.read(&service, id, consistency_token(&request)?).await.map_err(problems::fetch)?;
    Ok(answer.caching(strategy.caching()).cached(&request, &fetched, "product"))
}

/// Changes a product, and updates or invalidates its entry as the strategy defines.
#[utoipa::path(
    put,
    path = "/products/{strategy}/{id}",
    tag = "strategies",
    params(("strategy" = Strategy, Path), ("id" = i64, Path, minimum = 1, example = 1)),
    request_body = ProductChange,
    responses(
        (status = 200, body = Product, description = "`Cache-Status` says what became of the entry"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn write(
    request: HttpRequest, path: Path<(String, String)>, body: Body<ProductChange>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let (strategy, id) = (path.0.parse::<Strategy>()?, path.1.parse::<ProductId>()?);
    let write = ProductWrite { id, expect: Preconditions::of(&request)?, change: body.valid()? };
    let written = spawn_detached(async move { strategy.write(&service, &write).await });
    let (product, effect) = written.await?.map_err(problems::catalogue)?;
    let Committed { value: product, token } = product;
    Ok(answer.token(token).written(&product, WrittenValidator::Row(product.version), effect.word()))
}

/// Deletes a product and its entry in the `explicit` cache.
#[utoipa::path(
    delete,
    path = "/products/explicit/{id}",
    tag = "strategies",
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 412, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn delete_explicit(
    request: HttpRequest, path: Path<(String, String)>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let id: ProductId = path.1.parse()?;
    let expect = Preconditions::of(&request)?;
    let deleted = spawn_detached(async move { service.delete(id, &expect, Some(Strategy::Explicit)).await });
    let (token, effect) = deleted.await?.map_err(problems::catalogue)?;
    Ok(answer.token(token).deleted(effect.word()))
}
