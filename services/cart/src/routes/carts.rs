//! `/carts`: a new cart, and a cart with current prices.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use contract::CartId;
use service::caching::Caching;
use service::problem::Problem;
use service::response::{CacheResponse, WrittenValidator, consistency_token, spawn_detached};

use super::problems;
use crate::NAME;
use crate::cart_service::CartService;
use crate::carts::NewCart;
use crate::view::View;

/// Creates an empty cart. Takes no body. Every client that knows the cart's id may read and change the cart.
#[utoipa::path(
    post,
    path = "/carts",
    tag = "carts",
    responses((status = 201, body = NewCart, description = "`Location` is its address"), (status = 503, body = Problem))
)]
pub(super) async fn create(service: Data<CartService>) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let cart = spawn_detached(async move { service.create().await }).await?.map_err(problems::shop)?;
    // No invalidation is needed, because no entry says that this cart does not exist.
    // No validator, because a read of this URL returns more than this body.
    Ok(answer.created(&cart, &format!("/carts/{}", cart.id), WrittenValidator::Nothing, "left"))
}

/// Returns a cart with current prices. All amounts count what can be bought: of 10 pieces where 3 are in stock, 3.
#[utoipa::path(
    get,
    path = "/carts/{id}",
    tag = "carts",
    params(
        ("id" = uuid::Uuid, Path, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
        ("x-consistency-token" = Option<String>, Header, nullable = false, pattern = r"^[0-9]{1,18}$",
            description = "The token of a write to a product that the view must show"),
    ),
    responses(
        (status = 200, body = View, description = "`Cache-Status` (RFC 9211) says where it came from, and \
            `detail=product-api-away` where a cached view may have missed a change, `detail=events-unverified` or `consistency-token` where the \
            product API was asked because changes may not have been heard of; what is `stale` is never stored"),
        (status = 304, description = "It is the one that `If-None-Match` names"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn read(
    request: HttpRequest, path: Path<String>, service: Data<CartService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME).caching(Caching::Private);
    let id: CartId = path.parse()?;
    let fetched = service.view(id, consistency_token(&request)?).await.map_err(problems::fetch)?;
    // If the product API is unavailable, its relay may be too. Then no event reports a product change made in psql.
    let answer = if service.upstream.is_away() { answer.detail("product-api-away") } else { answer };
    Ok(answer.cached(&request, &fetched, "cart"))
}
