//! `/events/snapshot`: the current carts, for consumers that have lost events about them.

use actix_web::HttpResponse;
use actix_web::web::Data;
use contract::cart_snapshot::{CartSnapshotPage, MAX_CARTS};
use serde::Deserialize;
use service::operations::OperatorToken;
use service::problem::{Problem, Query};
use utoipa::IntoParams;
use uuid::Uuid;

use super::problems;
use crate::cart_service::CartService;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotQuery {
    /// The `next_cursor` of the previous page. Without it, the first page is returned.
    cursor: Option<Uuid>,
    /// 1 to 100 carts, 100 by default.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Returns the lines of all carts, by the carts' references. It replaces the events that `/events` no longer holds.
#[utoipa::path(
    get,
    path = "/events/snapshot",
    tag = "events",
    security(("operations_token" = [])),
    params(SnapshotQuery),
    responses(
        (status = 200, body = CartSnapshotPage), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn page(
    _operator: OperatorToken, query: Query<SnapshotQuery>, service: Data<CartService>,
) -> Result<HttpResponse, Problem> {
    let limit = query.0.limit.unwrap_or(MAX_CARTS);
    if !(1..=MAX_CARTS).contains(&limit) {
        return Err(Problem::invalid_field("limit", format!("must be between 1 and {MAX_CARTS}")));
    }
    Ok(HttpResponse::Ok().json(service.carts.snapshot(query.0.cursor, limit).await.map_err(problems::shop)?))
}
