//! `/products` without a cache: reads from Postgres, and writes as another service would make them.
//!
//! These routes do not invalidate the entries of a product: the relay and the listener do. Two invalidations happen
//! before the response, because the client may read these entries at once: a creation removes the absent entries of its
//! product, and every write removes the lists that its product enters or leaves.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use contract::ProductId;
use service::caching::Preconditions;
use service::problem::{Body, Problem, Query};
use service::response::{CacheResponse, WrittenValidator, spawn_detached};

use super::page_query::{Page, PageQuery};
use super::problems;
use crate::NAME;
use crate::catalogue::{CatalogueError, Committed, NewProduct, Product, ProductChange, ProductPage, ProductWrite};
use crate::products::ProductService;
use crate::strategies::{Outdated, WriteEffect, finish};

/// Returns one page of the products in the order of their ids, or the products that `ids` names.
#[utoipa::path(
    get,
    path = "/products",
    tag = "catalogue",
    params(PageQuery),
    responses(
        (status = 200, body = ProductPage), (status = 304), (status = 400, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn page(
    request: HttpRequest, query: Query<PageQuery>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let page = match query.0.checked()? {
        Page::After(after, limit) => {
            let _permit = service.uncached_reads.permit().await?;
            service.catalogue.page(after, limit).await
        }
        Page::Of(ids) => {
            let _permit = service.uncached_reads.permit_for_services().await?;
            service.catalogue.products(&ids).await
        }
    };
    let page = page.map_err(problems::catalogue)?;
    Ok(answer.uncached(&request, &page))
}

/// Creates a product. Before the response, removes its absent entries and the lists that it enters.
#[utoipa::path(
    post,
    path = "/products",
    tag = "catalogue",
    request_body = NewProduct,
    responses(
        (status = 201, body = Product), (status = 400, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn create(body: Body<NewProduct>, service: Data<ProductService>) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let new = body.valid()?;
    let created = spawn_detached(async move { service.create(&new).await });
    let (product, effect) = created.await?.map_err(problems::catalogue)?;
    let Committed { value: product, token } = product;
    let location = format!("/products/{}", product.id);
    Ok(answer.token(token).created(&product, &location, WrittenValidator::Row(product.version), effect.word()))
}

/// Reads a product from the database.
#[utoipa::path(
    get,
    path = "/products/{id}",
    tag = "catalogue",
    params(("id" = i64, Path, minimum = 1, example = 1)),
    responses(
        (status = 200, body = Product), (status = 304), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn read(
    request: HttpRequest, path: Path<String>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let id: ProductId = path.parse()?;
    let permit = service.uncached_reads.permit().await?;
    let product = service.catalogue.product(id).await.map_err(problems::catalogue)?;
    drop(permit);
    let product = product.ok_or_else(|| problems::catalogue(CatalogueError::NotFound("product")))?;
    Ok(answer.row(&request, &product, product.version))
}

/// Changes a product as another service would: the writer invalidates no entry of the product, but the relay publishes
/// the change. The lists that the product enters or leaves are removed before the response.
#[utoipa::path(
    put,
    path = "/products/{id}",
    tag = "catalogue",
    params(("id" = i64, Path, minimum = 1, example = 1)),
    request_body = ProductChange,
    responses(
        (status = 200, body = Product), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn write(
    request: HttpRequest, path: Path<String>, body: Body<ProductChange>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let write = ProductWrite { id: path.parse()?, expect: Preconditions::of(&request)?, change: body.valid()? };
    let updated = spawn_detached(async move {
        let updated = service.catalogue.update(&write).await;
        finish(&service, updated, |_| Outdated::Nothing(WriteEffect::Announced)).await
    });
    let (product, effect) = updated.await?.map_err(problems::catalogue)?;
    let Committed { value: product, token } = product;
    Ok(answer.token(token).written(&product, WrittenValidator::Row(product.version), effect.word()))
}

/// Deletes a product as another service would: the writer invalidates no entry of the product, but the relay publishes
/// the deletion. The lists that showed the product are removed before the response.
#[utoipa::path(
    delete,
    path = "/products/{id}",
    tag = "catalogue",
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem),
    )
)]
pub(super) async fn delete(
    request: HttpRequest, path: Path<String>, service: Data<ProductService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let id: ProductId = path.parse()?;
    let expect = Preconditions::of(&request)?;
    let deleted = spawn_detached(async move { service.delete(id, &expect, None).await });
    let (token, effect) = deleted.await?.map_err(problems::catalogue)?;
    Ok(answer.token(token).deleted(effect.word()))
}
