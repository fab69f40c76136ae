//! Shows the service's own entries, and invalidates them on request.
//!
//! | route | is |
//! |---|---|
//! | `/cache/stats/{key}`, `/cache/entries` | one entry in Redis, and all of them |
//! | `/cache/near/{key}` | one entry in the memory of this process |
//! | `POST /cache/invalidations` | an invalidation by an operator |
//! | `/cache/feed` | what happens to entries, live: `cache_feed.rs` |

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, ServiceConfig};
use cache::inspect::{EntryCursor, EntryInfo, EntryPage, InspectError, NearEntryInfo};
use cache::{CacheClient, Invalidated, Invalidation, Key, Tag};
use serde::{Deserialize, Serialize};
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ArrayItems, Schema};
use utoipa::openapi::{self, RefOr};
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::cache_feed::feed;
use crate::http_metrics::resource;
use crate::operations::{OperatorToken, SecurityAddon};
use crate::problem::{Body, FieldError, Problem, Query, RETRY_AFTER};

/// The maximum length of a key, in characters.
const KEY: usize = 512;
/// The maximum number of keys, and of tags, in one invalidation.
const NAMES: usize = 100;
/// A regular expression for the tags that [`Tag::parse`] accepts.
const TAG_PATTERN: &str = r"^[^,\s\x00-\x1f\x7f-\x9f]*:[^,\s\x00-\x1f\x7f-\x9f]*$";

/// Mounts the routes over `cache`.
pub fn configure(cache: &CacheClient, cfg: &mut ServiceConfig) {
    let cache = Data::new(cache.clone());
    cfg.service(resource("/cache/stats/{key:.*}").app_data(cache.clone()).get(stats))
        .service(resource("/cache/near/{key:.*}").app_data(cache.clone()).get(near))
        .service(resource("/cache/entries").app_data(cache.clone()).get(entries))
        .service(resource("/cache/invalidations").app_data(cache.clone()).post(invalidate))
        .service(resource("/cache/feed").app_data(cache).get(feed));
}

/// Returns the routes' part of the API's description, for the service that has `keyspace`; merge it into the service's
/// own.
pub fn description(keyspace: &str) -> openapi::OpenApi {
    let mut described = ApiDoc::openapi();
    for path in ["/cache/stats/{key}", "/cache/near/{key}"] {
        let shown = described.paths.paths.get_mut(path).and_then(|shown| shown.get.as_mut());
        let parameters = shown.into_iter().flat_map(|shown| shown.parameters.iter_mut().flatten());
        for parameter in parameters {
            if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(key))), .. }) = parameter {
                key.pattern = Some(key_pattern(keyspace));
            }
        }
    }
    let request = described.components.as_mut().and_then(|all| all.schemas.get_mut("InvalidationRequest"));
    if let Some(RefOr::T(Schema::Object(request))) = request {
        for (list, pattern) in [("keys", key_pattern(keyspace)), ("tags", TAG_PATTERN.to_owned())] {
            if let Some(RefOr::T(Schema::Array(array))) = request.properties.get_mut(list)
                && let ArrayItems::RefOrSchema(item) = &mut array.items
                && let RefOr::T(Schema::Object(item)) = &mut **item
            {
                (item.pattern, item.max_length) = (Some(pattern), Some(KEY));
            }
        }
    }
    described
}

#[derive(OpenApi)]
#[openapi(paths(stats, near, entries, invalidate, crate::cache_feed::feed), modifiers(&SecurityAddon))]
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
    let key = parse_key(&cache, &key).map_err(Problem::malformed)?;
    match cache.inspect(&key).await.map_err(down)? {
        Some(info) => Ok(HttpResponse::Ok().json(info)),
        None => Err(Problem::not_found("There is no such entry.")),
    }
}

/// Returns one entry as this process holds it in its memory.
#[utoipa::path(
    get,
    path = "/cache/near/{key}",
    tag = "cache",
    security(("operations_token" = [])),
    params(("key" = String, Path, max_length = 512, description = "The whole name, such as `product:production:1`")),
    responses(
        (status = 200, body = NearEntryInfo, description = "Version, age and remaining freshness in ms, and whether a read may return it now"),
        (status = 400, body = Problem, description = "Not a key of this service"),
        (status = 401, body = Problem), (status = 404, body = Problem, description = "This process does not hold the entry"),
    )
)]
async fn near(_operator: OperatorToken, key: Path<String>, cache: Data<CacheClient>) -> Result<HttpResponse, Problem> {
    let key = parse_key(&cache, &key).map_err(Problem::malformed)?;
    match cache.inspect_memory(&key) {
        Some(info) => Ok(HttpResponse::Ok().json(info)),
        None => Err(Problem::not_found("This process does not hold the entry in its memory.")),
    }
}

/// Parses the name of a key of this service.
fn parse_key(cache: &CacheClient, name: &str) -> Result<Key, String> {
    if name.chars().count() > KEY {
        return Err(format!("A key has at most {KEY} characters."));
    }
    let begin = || cache.keyspace().name();
    cache.keyspace().parse(name).ok_or_else(|| {
        format!("A key of this service begins with `{}:` and has no spaces or control characters.", begin())
    })
}

/// The entries that an operator invalidates.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvalidationRequest {
    /// The whole names of entries.
    #[serde(default)]
    #[schema(max_items = 100)]
    keys: Vec<String>,
    /// Tags: every entry that carries one of them is invalidated.
    #[serde(default)]
    #[schema(max_items = 100)]
    tags: Vec<String>,
    /// Marks the entries as stale instead of removing them: a read may still return them once, and then loads.
    #[serde(default)]
    soft: bool,
}

/// What an invalidation has done.
#[derive(Debug, Serialize, ToSchema)]
struct InvalidationResult {
    /// Number of entries that existed; null when the invalidation is deferred until Redis accepts it.
    #[schema(required = true)]
    entries: Option<u64>,
}

/// Removes entries by key or by tag, or marks them as stale, as a write would.
#[utoipa::path(
    post,
    path = "/cache/invalidations",
    tag = "cache",
    security(("operations_token" = [])),
    request_body = InvalidationRequest,
    responses(
        (status = 200, body = InvalidationResult, description = "No read that begins now returns an older value"),
        (status = 202, body = InvalidationResult, description = "Redis does not answer: this process repeats the invalidation until it succeeds"),
        (status = 401, body = Problem), (status = 422, body = Problem),
    )
)]
async fn invalidate(
    _operator: OperatorToken, request: Body<InvalidationRequest>, cache: Data<CacheClient>,
) -> Result<HttpResponse, Problem> {
    let InvalidationRequest { keys, tags, soft } = request.0;
    let too_many = [("keys", keys.len()), ("tags", tags.len())].into_iter().filter(|(_, count)| *count > NAMES);
    let mut errors: Vec<_> =
        too_many.map(|(list, _)| FieldError::new(list, format!("must have at most {NAMES} items"))).collect();
    let mut asked = if soft { Invalidation::soft() } else { Invalidation::hard() };
    for (at, name) in keys.iter().enumerate() {
        match parse_key(&cache, name) {
            Ok(key) => asked = asked.key(key),
            Err(wrong) => errors.push(FieldError::new(format!("keys[{at}]"), wrong)),
        }
    }
    for (at, name) in tags.iter().enumerate() {
        match Tag::parse(name).filter(|_| name.chars().count() <= KEY) {
            Some(tag) => asked = asked.tag(tag),
            None => errors
                .push(FieldError::new(format!("tags[{at}]"), "must be a tag as entries show it, such as `product:1`")),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    Ok(match cache.invalidate(asked).await {
        Invalidated::Done { entries } => HttpResponse::Ok().json(InvalidationResult { entries: Some(entries) }),
        Invalidated::Deferred => HttpResponse::Accepted().json(InvalidationResult { entries: None }),
    })
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
