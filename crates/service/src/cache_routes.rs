//! Inspects the service's own keyspace in Redis: `/cache/stats/{key}` and `/cache/entries`; and `/cache/feed`, which
//! `cache_feed.rs` implements.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, ServiceConfig};
use cache::CacheClient;
use cache::inspect::{EntryCursor, EntryInfo, EntryPage, InspectError};
use serde::Deserialize;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{self, RefOr};
use utoipa::{IntoParams, OpenApi};

use crate::cache_feed::feed;
use crate::http_metrics::resource;
use crate::operations::{OperatorToken, SecurityAddon};
use crate::problem::{Problem, Query, RETRY_AFTER};

/// The maximum length of a key, in characters.
const KEY: usize = 512;

/// Mounts the routes over `cache`.
pub fn configure(cache: &CacheClient, cfg: &mut ServiceConfig) {
    let cache = Data::new(cache.clone());
    cfg.service(resource("/cache/stats/{key:.*}").app_data(cache.clone()).get(stats))
        .service(resource("/cache/entries").app_data(cache.clone()).get(entries))
        .service(resource("/cache/feed").app_data(cache).get(feed));
}

/// Returns the routes' part of the API's description, for the service that has `keyspace`; merge it into the service's
/// own.
pub fn description(keyspace: &str) -> openapi::OpenApi {
    let mut described = ApiDoc::openapi();
    let stats = described.paths.paths.get_mut("/cache/stats/{key}").and_then(|stats| stats.get.as_mut());
    let parameters = stats.into_iter().flat_map(|stats| stats.parameters.iter_mut().flatten());
    for parameter in parameters {
        if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(key))), .. }) = parameter {
            key.pattern = Some(key_pattern(keyspace));
        }
    }
    described
}

#[derive(OpenApi)]
#[openapi(paths(stats, entries, crate::cache_feed::feed), modifiers(&SecurityAddon))]
struct ApiDoc;

/// Returns a regular expression for the keys that [`Keyspace::parse`](cache::Keyspace::parse) accepts with one
/// partition.
fn key_pattern(keyspace: &str) -> String {
    format!(r"^{keyspace}:[^~\s\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*$")
}

/// Returns one entry as stored in Redis.
#[utoipa::path(
    get,
    path = "/cache/stats/{key}",
    tag = "cache",
    security(("operations_token" = [])),
    params(("key" = String, Path, max_length = 512, description = "The whole name, such as `product:ttl:1`")),
    responses(
        (status = 200, body = EntryInfo, description = "State, age, times to live, version, tags and size; times in ms"),
        (status = 400, body = Problem, description = "Not a key of this service"),
        (status = 401, body = Problem), (status = 404, body = Problem, description = "No such entry"),
        (status = 503, body = Problem, description = "Redis does not answer"),
    )
)]
async fn stats(_operator: OperatorToken, key: Path<String>, cache: Data<CacheClient>) -> Result<HttpResponse, Problem> {
    if key.chars().count() > KEY {
        return Err(Problem::malformed(format!("A key has at most {KEY} characters.")));
    }
    let key = cache.keyspace().parse(&key).ok_or_else(|| {
        Problem::malformed(format!(
            "A key of this service begins with `{}:` and has no spaces or control characters.",
            cache.keyspace().name()
        ))
    })?;
    match cache.inspect(&key).await.map_err(down)? {
        Some(info) => Ok(HttpResponse::Ok().json(info)),
        None => Err(Problem::not_found("There is no such entry.")),
    }
}

/// Returns the service's entries, page by page. It iterates with SCAN: an entry that is written in the meantime may
/// appear twice or not at all.
#[utoipa::path(
    get,
    path = "/cache/entries",
    tag = "cache",
    security(("operations_token" = [])),
    params(EntriesQuery),
    responses(
        (status = 200, body = EntryPage), (status = 401, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem),
    )
)]
async fn entries(
    _operator: OperatorToken, query: Query<EntriesQuery>, cache: Data<CacheClient>,
) -> Result<HttpResponse, Problem> {
    let limit = query.0.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::invalid_field("limit", "must be between 1 and 1000"));
    }
    let cursor = match &query.0.cursor {
        None => EntryCursor::default(),
        Some(text) => cache
            .parse_cursor(text)
            .map_err(|_| Problem::invalid_field("cursor", "is not one that a page has returned"))?,
    };
    Ok(HttpResponse::Ok().json(cache.entries(cursor, limit).await.map_err(down)?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    /// The maximum number of entries, 1 to 1000; 100 by default. A page may have fewer, or none, and still have a next
    /// page.
    #[param(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next_cursor` of the previous page.
    #[param(nullable = false, pattern = "^[0-9]{1,5}-[0-9]{1,20}-[0-9]{1,20}$")]
    cursor: Option<String>,
}

fn down(error: InspectError) -> Problem {
    Problem::unavailable(RETRY_AFTER, error)
}

#[cfg(test)]
mod tests {
    use cache::Keyspace;

    use super::*;

    #[test]
    fn key_pattern_contains_the_keyspace_and_excludes_invalid_characters() {
        let described = serde_json::to_value(description("shop")).unwrap();
        let key = &described["paths"]["/cache/stats/{key}"]["get"]["parameters"][0]["schema"];
        assert_eq!(key["pattern"], r"^shop:[^~\s\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*$");
        let keyspace = Keyspace::new("shop").unwrap();
        for (text, is_key) in [
            ("shop:a", true),
            ("shop:a/ü%:~", true),
            ("shop:", false),
            ("shop:~a", false),
            ("shop:a b", false),
            ("a:b", false),
        ] {
            assert_eq!(keyspace.parse(text).is_some(), is_key, "{text}");
        }
    }
}
