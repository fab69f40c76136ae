//! `/carts/{id}/items/{product_id}`: the lines of a cart. Both methods are idempotent, because they state the result.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use contract::{CartId, ProductId};
use service::caching::Preconditions;
use service::problem::{Body, Problem};
use service::response::{self, CacheResponse, spawn_detached};

use super::problems;
use crate::NAME;
use crate::cart_service::{CartService, WrittenLine};
use crate::carts::Quantity;

/// Sets the number of pieces of a product in the cart. The earlier view is removed before the response.
///
/// While the product API is unavailable, this works for products whose data are known.
#[utoipa::path(
    put,
    path = "/carts/{id}/items/{product_id}",
    tag = "carts",
    params(
        ("id" = uuid::Uuid, Path, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"), ("product_id" = i64, Path, minimum = 1, example = 1),
        ("If-Match" = Option<String>, Header, description = "The line's `version` in quotes, as its `ETag` says it"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only when the product is not in the cart"),
    ),
    request_body = Quantity,
    responses(
        (status = 200, body = WrittenLine, description = "It was in the cart before"),
        (status = 201, body = WrittenLine, description = "It was not"),
        (status = 400, body = Problem),
        (status = 404, body = Problem, description = "There is no such cart, or the product is not sold"),
        (status = 409, body = Problem, description = "The cart is full"),
        (status = 412, body = Problem, description = "A precondition does not hold for the line as it is now"),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "It is unknown whether the product exists"),
    )
)]
pub(super) async fn put(
    request: HttpRequest, path: Path<(String, String)>, body: Body<Quantity>, service: Data<CartService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let (cart, product): (CartId, ProductId) = (path.0.parse()?, path.1.parse()?);
    let expect = Preconditions::of(&request)?;
    let quantity = body.valid()?;
    let written = spawn_detached(async move { service.put(cart, product, quantity, &expect).await });
    let written = written.await?.map_err(problems::shop)?;
    let (line, effect) = (&written.line, problems::effect(written.effect));
    // A body with `stale` differs from one without it, although both show the same version of the line.
    let tag = if line.stale {
        response::WrittenValidator::Nothing
    } else {
        response::WrittenValidator::As(written.validator)
    };
    Ok(match written.is_new {
        true => answer.created(line, &format!("/carts/{cart}/items/{product}"), tag, effect),
        false => answer.written(line, tag, effect),
    })
}

/// Removes a product from the cart. The earlier view is removed before the response.
#[utoipa::path(
    delete,
    path = "/carts/{id}/items/{product_id}",
    tag = "carts",
    params(
        ("id" = uuid::Uuid, Path, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"), ("product_id" = i64, Path, minimum = 1, example = 1),
        ("If-Match" = Option<String>, Header, description = "The line's `version` in quotes, as its `ETag` says it"),
    ),
    responses(
        (status = 204, description = "Also when it was not in the cart"), (status = 400, body = Problem),
        (status = 404, body = Problem, description = "There is no such cart"),
        (status = 412, body = Problem, description = "A precondition does not hold for the line as it is now"),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn remove(
    request: HttpRequest, path: Path<(String, String)>, service: Data<CartService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let (cart, product): (CartId, ProductId) = (path.0.parse()?, path.1.parse()?);
    let expect = Preconditions::of(&request)?;
    let removed = spawn_detached(async move { service.remove(cart, product, &expect).await }).await?;
    Ok(answer.deleted(problems::effect(removed.map_err(problems::shop)?)))
}
