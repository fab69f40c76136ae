//! `/search`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use cache::GetError;
use events::consumer::EventProgress;
use runtime::problem::{Problem, Query};
use runtime::response::CacheResponse;
use utoipa::ToSchema;

use super::input::SearchQuery;
use crate::keys::KEYSPACE;
use crate::pages::{ResultPages, SearchError};
use crate::query::page::Page;
use crate::state::{IndexState, IndexStatus};

/// When a client may try again after a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the handler works with.
#[derive(Clone)]
pub(crate) struct SearchService {
    pub(crate) pages: ResultPages,
    pub(crate) state: Arc<IndexStatus>,
    /// How far events are carried out.
    pub(crate) progress: EventProgress,
}

/// A page of results, and how current the index is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: the page is put together from bytes")]
pub(crate) struct Results {
    #[schema(inline)]
    #[serde(flatten)]
    page: Page,
    index: IndexState,
}

/// Searches the catalogue.
///
/// Every word of the query must match, in the name, the category's name or the description, by its stem; the last word
/// also by its beginning. Accents mean nothing; a word with signs that are part of a name (`C++`, `.NET`, `AT&T`) matches
/// with them only. Letters of scripts without spaces (Chinese, Japanese, Thai …) match wherever they follow one another.
///
/// Words that are joined, hyphenated or separated find one another (`wifi`, `Wi-Fi`, `wi fi`).
///
/// When no product matches, words with a letter or two wrong are looked for, and `corrected` is true. When that finds
/// nothing either, products that have at least half of the words are looked for, those with more of them first, and `match` is
/// `partial`. In scripts without spaces, pairs of letters count as words.
/// A query without words is the whole catalogue, by id.
#[utoipa::path(
    get,
    path = "/search",
    tag = "search",
    params(SearchQuery),
    responses(
        (status = 200, body = Results), (status = 304),
        (status = 400, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "The index is being built for the first time, or too many searches are running; \
            Retry-After says when to try again"),
    )
)]
pub(super) async fn search(
    request: HttpRequest,
    query: Query<SearchQuery>,
    searching: Data<SearchService>,
) -> Result<HttpResponse, Problem> {
    let mut answer = CacheResponse::start(KEYSPACE);
    let search = query.0.checked()?;
    if let Err(building) = searching.state.readiness() {
        return Err(Problem::overloaded(RETRY_AFTER, building));
    }
    let found = searching.pages.find(search).await.map_err(problems)?;
    let mut index = searching.state.index(Instant::now());
    index.stale |= searching.progress.verified().is_err();
    let shown = serde_json::to_vec(&index).map_err(Problem::internal)?;
    if index.stale {
        answer = answer.detail("index-stale");
    }
    let answer = answer.with_companion(shown.clone());
    with_index(answer.cached(&request, &found, "page"), found.body(), &shown)
}

/// The page goes out as it lies in the cache; what is true of this moment is put in before its last brace.
fn with_index(response: HttpResponse, page: Option<&bytes::Bytes>, index: &[u8]) -> Result<HttpResponse, Problem> {
    let Some(page) = page.filter(|_| response.status().is_success()) else { return Ok(response) };
    let open = page.strip_suffix(b"}").ok_or_else(|| Problem::internal("a page that is no object"))?;
    let body = [open, b",\"index\":", index, b"}"].concat();
    Ok(response.set_body(body).map_into_boxed_body())
}

fn problems(error: GetError) -> Problem {
    match (&error, error.loader_error::<SearchError>()) {
        (_, Some(cause @ (SearchError::Building | SearchError::Overloaded))) => {
            Problem::overloaded(RETRY_AFTER, cause.to_string())
        }
        (_, Some(cause)) => Problem::internal(cause),
        (GetError::Panicked, None) => Problem::internal(error),
        (GetError::Overloaded, None) => Problem::overloaded(RETRY_AFTER, error.to_string()),
        (_, None) => Problem::unavailable(RETRY_AFTER, error),
    }
}
