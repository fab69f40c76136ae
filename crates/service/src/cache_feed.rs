//! `/cache/feed`: the events of cache entries as server-sent events, for a page that shows them live.
//!
//! ```text
//! id: 5f0c91d2a7be-17
//! data: {"at_ms":1763806910123,"kind":"hit","lane":"ttl","key":"product:ttl:1","version":3,"ttl_ms":9120}
//! ```
//!
//! A browser's `EventSource` resumes automatically: it sends the last id as `Last-Event-ID`. The first record states
//! whether the feed was resumed (`{"kind":"begin","resumed":true}`); another process, or this process after a restart,
//! cannot resume it. The stream ends when the process shuts down, so it never delays a drain.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use cache::CacheClient;
use cache::feed::{CacheEventKind, FeedRecord, FeedSubscription};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use crate::operations::OperatorToken;
use crate::problem::{Problem, Query};
use crate::response_middleware::caching::NO_STORE;
use crate::response_middleware::wants_head_only;
use crate::server::ShutdownSignal;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The delay before a client that lost its connection, or was refused, should reconnect.
const FEED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The interval without records after which the stream sends a keep-alive message with the current position.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Streams the events of cache entries: hits, stale hits, misses, fills, refused fills, invalidations, received events.
#[utoipa::path(
    get,
    path = "/cache/feed",
    tag = "cache",
    security(("operations_token" = [])),
    params(FeedQuery, ("Last-Event-ID" = Option<String>, Header, description = "Resumes after that record")),
    responses(
        (status = 200, content_type = "text/event-stream", description = "One JSON object a record; `kind` says what it is. \
            The first record is `begin`. A client that reads too slowly receives `lagged` with the number of records that it lost"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "Too many clients read this feed"),
    )
)]
pub(crate) async fn feed(
    _operator: OperatorToken, request: HttpRequest, query: Query<FeedQuery>, cache: Data<CacheClient>,
) -> Result<HttpResponse, Problem> {
    let filter = query.0.filter()?;
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, NO_STORE))
        // Otherwise nginx would buffer the stream.
        .insert_header(("X-Accel-Buffering", "no"));
    if wants_head_only(&request) {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    let last_id = request.headers().get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let listener = cache.feed().subscribe(last_id).map_err(|_| {
        Problem::overloaded(FEED_RETRY_AFTER, "The maximum number of clients already read this feed. Try again later.")
    })?;
    let stop = request.app_data::<ShutdownSignal>().map_or_else(CancellationToken::new, |stopping| stopping.0.clone());
    Ok(response.streaming(event_stream(FeedStream { listener, filter, stop })))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedQuery {
    /// Of the records about entries, returns only those about entries of these caches (names separated by commas).
    #[param(nullable = false)]
    lane: Option<String>,
    /// Returns only these kinds, separated by commas: `hit`, `stale`, `miss`, `bypass`, `fill`, `refused`,
    /// `invalidate`, `event`.
    #[param(
        nullable = false,
        pattern = "^(hit|stale|miss|bypass|fill|refused|invalidate|event)(,(hit|stale|miss|bypass|fill|refused|invalidate|event))*$"
    )]
    kind: Option<String>,
}

/// The records that a subscriber requests; an empty list requests all of them.
struct Filter {
    lanes: Vec<String>,
    kinds: Vec<CacheEventKind>,
}

impl FeedQuery {
    fn filter(&self) -> Result<Filter, Problem> {
        let lanes = self.lane.iter().flat_map(|lanes| lanes.split(',')).map(str::to_owned).collect();
        let kinds = self.kind.iter().flat_map(|kinds| kinds.split(',')).map(str::parse).collect();
        match kinds {
            Ok(kinds) => Ok(Filter { lanes, kinds }),
            Err(()) => {
                let known = CacheEventKind::ALL.map(|(name, _)| name).join(", ");
                Err(Problem::invalid_field("kind", format!("is one of {known}, or several with commas between them")))
            }
        }
    }
}

impl Filter {
    fn accepts(&self, record: &FeedRecord) -> bool {
        let kind = record.what.kind().is_none_or(|kind| self.kinds.is_empty() || self.kinds.contains(&kind));
        let lane =
            record.what.cache().is_none_or(|lane| self.lanes.is_empty() || self.lanes.iter().any(|own| own == lane));
        kind && lane
    }
}

/// One open stream.
struct FeedStream {
    listener: FeedSubscription,
    filter: Filter,
    stop: CancellationToken,
}

impl FeedStream {
    /// Returns the next text to send; `None` at the end.
    async fn next_chunk(&mut self) -> Option<String> {
        let mut silence = pin!(tokio::time::sleep(KEEP_ALIVE));
        loop {
            let text = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                records = self.listener.next() => self.render(&records?),
                // It also advances the id past filtered records. Without data, the browser does not report an event.
                () = &mut silence => format!(": alive\nid: {}\n\n", self.listener.position()),
            };
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    fn render(&self, records: &[Arc<FeedRecord>]) -> String {
        let mut text = String::new();
        for record in records.iter().filter(|record| self.filter.accepts(record)) {
            let json = serde_json::to_string(record).expect("strings and numbers serialise, and so does a tagged enum");
            write!(text, "id: {}\ndata: {json}\n\n", self.listener.id(record)).expect("a String takes any text");
        }
        text
    }
}

/// Returns the body. The next part is only requested when the previous one has been sent.
fn event_stream(stream: FeedStream) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let retry = stream::iter([Ok(Bytes::from(format!("retry: {}\n\n", FEED_RETRY_AFTER.as_millis())))]);
    retry.chain(stream::unfold(stream, async |mut stream| {
        let part = stream.next_chunk().await?;
        Some((Ok(Bytes::from(part)), stream))
    }))
}
