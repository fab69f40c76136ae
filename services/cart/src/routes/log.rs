//! `/events`: the log of changes, for consumers that have missed something.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use events::log::{EventPage, PAGE};
use events::relay::OutboxError;
use runtime::problem::{Problem, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::shop::Shop;

/// What was put into carts and taken out of them in the last hour, in order and without holes.
#[utoipa::path(
    get,
    path = "/events",
    tag = "events",
    params(LogQuery),
    responses(
        (status = 200, body = EventPage), (status = 400, body = Problem), (status = 422, body = Problem),
        (status = 410, body = Problem, description = "The next event is no longer kept: begin anew"),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn page(query: Query<LogQuery>, shop: Data<Shop>) -> Result<HttpResponse, Problem> {
    let limit = query.0.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::invalid_field("limit", format!("must be between 1 and {PAGE}")));
    }
    match shop.outbox.after(query.0.after, limit).await {
        Ok(page) => Ok(HttpResponse::Ok().json(page)),
        Err(error @ OutboxError::Pruned(_)) => Err(Problem::gone(error.to_string())),
        Err(error @ OutboxError::Unavailable(_)) => Err(Problem::unavailable(Duration::from_secs(1), error)),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    /// The number of the last event that is known; 0 for none.
    #[serde(default)]
    after: u64,
    /// 1 to 500 events, 500 by default.
    limit: Option<u32>,
}
