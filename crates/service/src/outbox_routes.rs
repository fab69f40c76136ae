//! `/events`: a service's log of changes, for consumers that have missed events or must see a certain one.

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use outbox::log::{EventPage, LogPosition, PAGE, TransactionPosition};
use outbox::relay::{Outbox, OutboxError};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};
use uuid::Uuid;

use crate::http_metrics::resource;
use crate::operations::{OperatorToken, SecurityAddon};
use crate::problem::{Problem, Query, RETRY_AFTER};

/// Mounts the two routes, which read `outbox`.
pub fn configure(outbox: &Outbox, cfg: &mut ServiceConfig) {
    let outbox = Data::new(outbox.clone());
    cfg.service(resource("/events").app_data(outbox.clone()).get(page))
        .service(resource("/events/position").app_data(outbox).get(position));
}

/// The part of the API's description that covers these routes; merge it into the service's own.
#[derive(OpenApi, Debug)]
#[openapi(paths(page, position), modifiers(&SecurityAddon))]
pub struct ApiDoc;

/// Returns the changes that this service has made, in order and without gaps, as far back as it keeps them.
#[utoipa::path(
    get,
    path = "/events",
    tag = "events",
    security(("operations_token" = [])),
    params(LogQuery),
    responses(
        (status = 200, body = EventPage), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 422, body = Problem),
        (status = 409, body = Problem, description = "`after` is in another history: read the current state again"),
        (status = 410, body = Problem, description = "The next event is no longer kept: read the current state again"),
        (status = 503, body = Problem),
    )
)]
async fn page(_operator: OperatorToken, query: Query<LogQuery>, outbox: Data<Outbox>) -> Result<HttpResponse, Problem> {
    let limit = query.0.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::invalid_field("limit", format!("must be between 1 and {PAGE}")));
    }
    match outbox.after(LogPosition { seq: query.0.after, epoch: query.0.epoch }, limit).await {
        Ok(page) => Ok(HttpResponse::Ok().json(page)),
        Err(error @ OutboxError::Pruned(_)) => Err(Problem::gone(error.to_string())),
        Err(error @ OutboxError::Diverged(_)) => Err(Problem::conflict(error.to_string())),
        Err(error @ OutboxError::Unavailable(_)) => Err(Problem::unavailable(RETRY_AFTER, error)),
    }
}

/// Returns the number up to which the log must be applied to include a committed transaction.
///
/// A consumer that receives an `X-Consistency-Token` waits for this number.
#[utoipa::path(
    get,
    path = "/events/position",
    tag = "events",
    security(("operations_token" = [])),
    params(PositionQuery),
    responses(
        (status = 200, body = TransactionPosition), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem),
    )
)]
async fn position(
    _operator: OperatorToken, query: Query<PositionQuery>, outbox: Data<Outbox>,
) -> Result<HttpResponse, Problem> {
    let seq = outbox.position_of(query.0.transaction).await;
    let seq = seq.map_err(|error| Problem::unavailable(RETRY_AFTER, error))?;
    Ok(HttpResponse::Ok().json(TransactionPosition { seq }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PositionQuery {
    /// The id of the transaction: the token in the response to its write.
    #[param(minimum = 0, maximum = 18_446_744_073_709_551_615u64)]
    transaction: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// The number of the last known event; 0 if there is none.
    #[serde(default)]
    #[param(minimum = 0, maximum = 18_446_744_073_709_551_615u64)]
    after: u64,
    /// The epoch of that event. Without it, the service cannot detect that its database was restored to another
    /// history.
    #[param(nullable = false, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    epoch: Option<Uuid>,
    /// The maximum number of events, 1 to 500; 500 by default.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
}
