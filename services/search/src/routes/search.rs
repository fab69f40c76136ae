//! The route `/search`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use cache::error::LoadError;
use outbox::consumer::EventProgress;
use service::consistency::AppliedWrites;
use service::problem::{Problem, Query, RETRY_AFTER};
use service::response::{CacheResponse, consistency_token};
use utoipa::ToSchema;

use super::input::SearchQuery;
use crate::keys::KEYSPACE;
use crate::pages::{ResultPages, SearchError};
use crate::query::page::Page;
use crate::state::{IndexState, IndexStatus};

/// The dependencies of the handler.
#[derive(Clone)]
pub(crate) struct SearchService {
    pub(crate) pages: ResultPages,
    pub(crate) state: Arc<IndexStatus>,
    /// Whether the consumer has applied the events.
    pub(crate) progress: EventProgress,
    /// Whether the index includes a certain write.
    pub(crate) applied: AppliedWrites<Arc<IndexStatus>>,
}

/// How long a search with a token waits for the events of that write. Then the index counts as stale.
const APPLY_WAIT: Duration = Duration::from_secs(1);

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
/// Every word of the query must match in the name, the category's name or the description. A word matches by its stem;
/// the last word also matches by its beginning. Accents are ignored. A word with signs that are part of a name (`C++`,
/// `.NET`, `AT&T`) matches only with these signs, and a decimal number (`3.0`) only as a whole. Letters of scripts
/// without spaces (Chinese, Japanese, Thai …) match wherever they occur in the same sequence, and so do two or more
/// letters of a Korean word.
///
/// Joined, hyphenated and separated spellings of a word match one another (`wifi`, `Wi-Fi`, `wi fi`). Longer words that a
/// space separates in a description (`power bank`) match only when they are separate in the query, too.
///
/// When no product matches, the search allows up to two wrong letters per word, and `corrected` is true. When that finds
/// nothing either, it returns products that have at least half of the words, those with the most words first, and
/// `match` is `partial`. When there are none, these words may have wrong letters as well: `match` is `partial`, and
/// `corrected` is true. In scripts without spaces, pairs of letters count as words.
///
/// An empty query returns the whole catalogue, by id. A query without a letter or a digit finds nothing.
#[utoipa::path(
    get,
    path = "/search",
    tag = "search",
    params(
        SearchQuery,
        ("x-consistency-token" = Option<String>, Header, nullable = false, pattern = r"^[0-9]{1,18}$",
            description = "The token of a write that the index must include; `index.stale` says that it may not"),
    ),
    responses(
        (status = 200, body = Results), (status = 304),
        (status = 400, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "The index is being built for the first time, or too many searches are running; \
            Retry-After says when to try again"),
    )
)]
pub(super) async fn search(
    request: HttpRequest, query: Query<SearchQuery>, searching: Data<SearchService>,
) -> Result<HttpResponse, Problem> {
    let mut answer = CacheResponse::start(KEYSPACE);
    let search = query.0.checked()?;
    if let Err(building) = searching.state.readiness() {
        return Err(Problem::overloaded(RETRY_AFTER, building));
    }
    let is_included = searching.applied.include(consistency_token(&request)?, APPLY_WAIT).await;
    let found = searching.pages.find(search).await.map_err(problem)?;
    let mut index = searching.state.index(Instant::now());
    index.stale |= !is_included || searching.progress.verified().is_err();
    let shown = serde_json::to_vec(&index).map_err(Problem::internal)?;
    if index.stale {
        answer = answer.detail("index-stale");
    }
    let answer = answer.with_companion(shown.clone());
    with_index(answer.cached(&request, &found, "page"), found.body(), &shown)
}

/// Inserts the status of the index before the last brace of the page. The page itself is sent as it is stored in the
/// cache.
fn with_index(response: HttpResponse, page: Option<bytes::Bytes>, index: &[u8]) -> Result<HttpResponse, Problem> {
    let Some(page) = page.filter(|_| response.status().is_success()) else { return Ok(response) };
    let open = page.strip_suffix(b"}").ok_or_else(|| Problem::internal("a page that is no object"))?;
    let body = [open, b",\"index\":", index, b"}"].concat();
    Ok(response.set_body(body).map_into_boxed_body())
}

fn problem(error: LoadError) -> Problem {
    Problem::of_read(error, |cause: &SearchError| match cause {
        SearchError::Building | SearchError::Overloaded => Problem::overloaded(RETRY_AFTER, cause.to_string()),
        cause => Problem::internal(cause),
    })
}
