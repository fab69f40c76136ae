//! `/live`: everything that the page shows, as one stream of server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::{Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt as _, stream};
use service::http_metrics::resource;
use service::problem::{Problem, RETRY_AFTER};
use service::response_middleware::wants_head_only;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The interval without records after which the stream sends a comment, so that a lost connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Mounts the stream. It ends when `stop` is cancelled, so it never delays a shutdown.
pub(crate) fn configure(hub: &Hub, stop: &CancellationToken, cfg: &mut ServiceConfig) {
    let resource = resource("/live").app_data(Data::new(hub.clone())).app_data(Data::new(stop.clone()));
    cfg.service(resource.get(live));
}

async fn live(request: HttpRequest, hub: Data<Hub>, stop: Data<CancellationToken>) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header((CACHE_CONTROL, "no-store"));
    if wants_head_only(&request) {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    let last_id = request.headers().get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let page = hub.subscribe(last_id).ok_or_else(|| {
        Problem::overloaded(RETRY_AFTER, "As many pages are open as the console serves at once. Close one of them.")
    })?;
    let stop = CancellationToken::clone(&stop);
    let retry = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"retry: 500\n\n"))]);
    let messages = stream::unfold((page, stop), async |(mut page, stop)| {
        let message = page.next(&stop, KEEP_ALIVE).await?;
        Some((Ok(Bytes::from(message)), (page, stop)))
    });
    Ok(response.streaming(retry.chain(messages)))
}
