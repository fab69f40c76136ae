//! The routes under `/recommendations`: for a product, and for a cart.

use std::time::{Duration, Instant};

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use cache::Cached;
use cache::error::LoadError;
use contract::{CartId, ProductId};
use serde::{Deserialize, Serialize};
use service::caching::Caching;
use service::consistency::AppliedWrites;
use service::problem::{Problem, Query, RETRY_AFTER};
use service::response::{CacheResponse, consistency_token};
use utoipa::{IntoParams, ToSchema};

use crate::NAME;
use crate::error::RecommendationError;
use crate::lists::{Lists, MAX_ITEMS, Recommendations};
use crate::react::BothProgress;
use crate::state::{BasketsState, CatalogueState, CatalogueStatus};

/// The dependencies of the handlers.
#[derive(Clone, Debug)]
pub(crate) struct RecommendationService {
    pub(crate) lists: Lists,
    pub(crate) state: CatalogueStatus,
    /// Whether the consumers have applied the events.
    pub(crate) progress: BothProgress,
    /// Whether the consumer has applied a certain write to a product.
    pub(crate) applied: AppliedWrites,
}

/// How long a read with a token waits for the events of that write. Then the catalogue counts as stale.
const APPLY_WAIT: Duration = Duration::from_secs(1);

/// The recommendations, and how current their sources are: the copy of the catalogue and, for a cart, the baskets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answered {
    #[serde(flatten)]
    list: Recommendations,
    catalogue: CatalogueState,
    #[serde(skip_serializing_if = "Option::is_none")]
    baskets: Option<BasketsState>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The maximum number of items in each list: 1 to 12, by default 12.
    #[param(nullable = false, minimum = 1, maximum = 12)]
    limit: Option<i64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
struct TokenHeader {
    /// The token of a write that the lists must include; `catalogue.stale` says that they may not.
    #[param(rename = "x-consistency-token", required = false, nullable = false, pattern = r"^[0-9]{1,18}$")]
    token: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ForCart {
    /// The id of the cart.
    #[param(required = true, nullable = false, format = Uuid, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    cart: Option<String>,
    /// The maximum number of items in each list: 1 to 12, by default 12.
    #[param(nullable = false, minimum = 1, maximum = 12)]
    limit: Option<i64>,
}

/// Recommends products that go with a product.
///
/// The lists never contain that product.
#[utoipa::path(
    get,
    path = "/recommendations/{product_id}",
    tag = "recommendations",
    params(("product_id" = i64, Path, minimum = 1, example = 1), ListQuery, TokenHeader),
    responses(
        (status = 200, body = Answered, description = "Nothing known is an empty list"), (status = 304),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "The catalogue is being copied for the first time"),
    )
)]
pub(super) async fn for_product(
    request: HttpRequest, path: Path<String>, query: Query<ListQuery>, service: Data<RecommendationService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME);
    let product: ProductId =
        path.parse().map_err(|error| Problem::malformed(format!("The path names no product: {error}.")))?;
    let limit = few(query.0.limit)?;
    service.state.readiness().map_err(not_yet)?;
    let is_included = service.applied.include(consistency_token(&request)?, APPLY_WAIT).await;
    let fetched = service.lists.for_product(product).await.map_err(fetch)?;
    answered(answer, &request, &fetched, limit, DataStatus { catalogue: service.catalogue(is_included), baskets: None })
}

/// Recommends products that go with the products in a cart.
///
/// The lists never contain a product of the cart. For an unknown cart, the lists are empty.
#[utoipa::path(
    get,
    path = "/recommendations",
    tag = "recommendations",
    params(ForCart, TokenHeader),
    responses(
        (status = 200, body = Answered), (status = 304), (status = 400, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "The catalogue is being copied for the first time"),
    )
)]
pub(super) async fn for_cart(
    request: HttpRequest, query: Query<ForCart>, service: Data<RecommendationService>,
) -> Result<HttpResponse, Problem> {
    let answer = CacheResponse::start(NAME).caching(Caching::Private);
    let cart = query.0.cart.as_deref().ok_or_else(|| Problem::invalid_field("cart", "must be given"))?;
    let cart: CartId =
        cart.parse().map_err(|error: contract::InvalidId| Problem::invalid_field("cart", error.to_string()))?;
    let limit = few(query.0.limit)?;
    service.state.readiness().map_err(not_yet)?;
    let is_included = service.applied.include(consistency_token(&request)?, APPLY_WAIT).await;
    let fetched = service.lists.for_cart(cart).await.map_err(fetch)?;
    let status = DataStatus { catalogue: service.catalogue(is_included), baskets: Some(service.baskets()) };
    answered(answer, &request, &fetched, limit, status)
}

impl RecommendationService {
    fn catalogue(&self, is_write_included: bool) -> CatalogueState {
        let mut catalogue = self.state.catalogue(Instant::now());
        catalogue.stale |= !is_write_included || self.progress.products.verified().is_err();
        catalogue
    }

    fn baskets(&self) -> BasketsState {
        BasketsState { stale: self.state.are_baskets_incomplete() || self.progress.carts.verified().is_err() }
    }
}

/// The status at the time of the response; as JSON an object with at least one field.
#[derive(Clone, Copy, Debug, Serialize)]
struct DataStatus {
    catalogue: CatalogueState,
    #[serde(skip_serializing_if = "Option::is_none")]
    baskets: Option<BasketsState>,
}

fn few(limit: Option<i64>) -> Result<usize, Problem> {
    let limit = limit.map_or(Some(MAX_ITEMS), |limit| usize::try_from(limit).ok());
    limit
        .filter(|limit| (1..=MAX_ITEMS).contains(limit))
        .ok_or_else(|| Problem::invalid_field("limit", format!("must be between 1 and {MAX_ITEMS}")))
}

/// Builds the response. The list is sent as it is stored in the cache, or truncated; the current status is inserted
/// before its last brace.
fn answered(
    answer: CacheResponse, request: &HttpRequest, fetched: &Cached<Recommendations>, limit: usize, status: DataStatus,
) -> Result<HttpResponse, Problem> {
    let answer = match status {
        DataStatus { catalogue, .. } if catalogue.stale => answer.detail("catalogue-stale"),
        DataStatus { .. } => answer,
    };
    let status = serde_json::to_vec(&status).map_err(Problem::internal)?;
    let answer = answer.with_companion([&limit.to_be_bytes()[..], &status].concat());
    let response = answer.cached(request, fetched, "product");
    let Some(body) = fetched.body().filter(|_| response.status().is_success()) else { return Ok(response) };
    let shortened;
    let list: &[u8] = if limit == MAX_ITEMS {
        &body
    } else {
        let mut list: Recommendations = serde_json::from_slice(&body).map_err(Problem::internal)?;
        list.truncate(limit);
        shortened = serde_json::to_vec(&list).map_err(Problem::internal)?;
        &shortened
    };
    let open = list.strip_suffix(b"}").ok_or_else(|| Problem::internal("a list that is no object"))?;
    let body = [open, b",", &status[1..]].concat();
    Ok(response.set_body(body).map_into_boxed_body())
}

/// Returns the problem for a request before the catalogue has been copied.
fn not_yet(why: String) -> Problem {
    Problem::overloaded(RETRY_AFTER, why)
}

/// Returns the problem for a list that could not be built.
fn fetch(error: LoadError) -> Problem {
    Problem::of_read(error, |cause: &RecommendationError| match cause.is_transient() {
        true => Problem::unavailable(RETRY_AFTER, cause),
        false => Problem::internal(cause),
    })
}
