//! `/carts/{id}/items/{product_id}`: what lies in a cart. Both may be repeated: they say how it is to be.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use runtime::answer::{Answer, to_the_end};
use runtime::problem::{Body, Problem};

use super::{input, trouble};
use crate::NAME;
use crate::carts::Quantity;
use crate::ids::{CartId, ProductId};
use crate::shop::{Shop, WrittenLine};

/// Sees to it that so many pieces of a product lie in the cart. The view from before is gone before the answer.
///
/// While the product API is away, this works for products of which facts are known.
#[utoipa::path(
    put,
    path = "/carts/{id}/items/{product_id}",
    tag = "carts",
    params(("id" = uuid::Uuid, Path), ("product_id" = i64, Path)),
    request_body = Quantity,
    responses(
        (status = 200, body = WrittenLine, description = "It was in the cart before"),
        (status = 201, body = WrittenLine, description = "It was not"),
        (status = 400, body = Problem),
        (status = 404, body = Problem, description = "There is no such cart, or the product is not sold"),
        (status = 409, body = Problem, description = "The cart is full"),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "Nobody can say whether there is such a product"),
    )
)]
pub(super) async fn put(
    path: Path<(String, String)>,
    body: Body<Quantity>,
    shop: Data<Shop>,
) -> Result<HttpResponse, Problem> {
    let answer = Answer::begin(NAME);
    let (cart, product): (CartId, ProductId) = (input::id(&path.0)?, input::id(&path.1)?);
    let quantity = input::valid(body.0)?;
    let written = to_the_end(async move { shop.put(cart, product, quantity).await }).await?.map_err(trouble::shop)?;
    let (line, effect) = (&written.line, trouble::effect(written.effect));
    Ok(match written.is_new {
        true => answer.created(line, &format!("/carts/{cart}/items/{product}"), line.version, effect),
        false => answer.written(line, line.version, effect),
    })
}

/// Sees to it that a product does not lie in the cart. The view from before is gone before the answer.
#[utoipa::path(
    delete,
    path = "/carts/{id}/items/{product_id}",
    tag = "carts",
    params(("id" = uuid::Uuid, Path), ("product_id" = i64, Path)),
    responses(
        (status = 204, description = "Also when it was not in the cart"), (status = 400, body = Problem),
        (status = 404, body = Problem, description = "There is no such cart"), (status = 503, body = Problem),
    )
)]
pub(super) async fn remove(path: Path<(String, String)>, shop: Data<Shop>) -> Result<HttpResponse, Problem> {
    let answer = Answer::begin(NAME);
    let (cart, product): (CartId, ProductId) = (input::id(&path.0)?, input::id(&path.1)?);
    let removed = to_the_end(async move { shop.remove(cart, product).await }).await?.map_err(trouble::shop)?;
    Ok(answer.deleted(trouble::effect(removed)))
}
