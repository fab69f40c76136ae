//! `/api/{service}/…`: the routes of the services, so that the page needs one origin.
//!
//! The gateway forwards only to configured services. It changes neither a request's path nor its body. It adds one header,
//! the operators' token on operations routes, and in `If-None-Match` it names the plain body where the client names the
//! one that the console has compressed. So a service checks a forwarded request as any other.
//! `/cache/feed` is not forwarded: the console itself follows the feeds, and `/live` merges them.

use actix_web::http::header::HeaderName;
use actix_web::http::{Method, header};
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use service::http_metrics::resource_as;
use service::problem::{BodyBytes, Problem, RETRY_AFTER};
use service::response_middleware::accepts_gzip;
use tokio::sync::Semaphore;

use crate::upstream::Upstreams;

/// Requests that are forwarded at the same time; further ones get 503.
const CONCURRENT: usize = 64;
/// The largest body of a response.
const LARGEST: usize = 8 * 1024 * 1024;

/// The headers of a request that a service may need. Others, such as cookies and `Origin`, are the page's own matter.
const FORWARDED: [HeaderName; 7] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("x-consistency-token"),
    HeaderName::from_static("traceparent"),
];

/// The headers of a response that the page may read.
const RETURNED: [HeaderName; 12] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::ETAG,
    header::AGE,
    header::VARY,
    header::LOCATION,
    header::ALLOW,
    header::RETRY_AFTER,
    HeaderName::from_static("cache-status"),
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("x-consistency-token"),
    header::WWW_AUTHENTICATE,
];

/// The permits to forward, which all workers share.
pub(crate) fn permits() -> Data<Semaphore> {
    Data::new(Semaphore::new(CONCURRENT))
}

/// Mounts the gateway.
pub(crate) fn configure(upstreams: &Upstreams, permits: &Data<Semaphore>, cfg: &mut ServiceConfig) {
    let resource = resource_as("/api/{service}/{path:.*}", "/api/{service}");
    let resource = resource.app_data(Data::new(upstreams.clone())).app_data(permits.clone());
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    cfg.service(methods.into_iter().fold(resource, |resource, method| resource.route(web::method(method).to(forward))));
}

async fn forward(
    request: HttpRequest, path: Path<(String, String)>, BodyBytes(body): BodyBytes, upstreams: Data<Upstreams>,
    permits: Data<Semaphore>,
) -> Result<HttpResponse, Problem> {
    let (service, _) = path.into_inner();
    let upstream = upstreams.named(&service).ok_or_else(|| {
        let names: Vec<_> = upstreams.all().iter().map(|upstream| upstream.name).collect();
        Problem::not_found(format!("The gateway knows the services {}.", names.join(", ")))
    })?;
    // As the client has sent it: decoding and encoding again could make it another path.
    let sent = request.uri().path_and_query().map_or("", |whole| whole.as_str());
    let rest = sent.strip_prefix("/api/").and_then(|sent| sent.strip_prefix(&*service));
    let rest = rest.filter(|rest| rest.starts_with('/'));
    let url = rest.and_then(|rest| Url::parse(&format!("{}{rest}", upstream.url)).ok());
    let url = url.ok_or_else(|| Problem::malformed("The name of a service is written without escapes."))?;
    // The path that the service will see: `Url` has resolved `..`, and the service decodes it.
    if percent_decode_str(url.path()).decode_utf8_lossy().starts_with("/cache/feed") {
        return Err(feed());
    }
    // After the body has arrived: a slow client occupies no permit.
    let _permit = permits.try_acquire().map_err(|_| {
        Problem::overloaded(
            RETRY_AFTER,
            format!("The gateway forwards at most {CONCURRENT} requests at the same time."),
        )
    })?;
    let method = request.method().as_str().parse().map_err(|_| Problem::malformed("The method is not known."))?;
    let mut forwarded = upstreams.client().request(method, url.clone()).headers(upstreams.operator(url.path()));
    for name in &FORWARDED {
        for value in request.headers().get_all(name) {
            let value = match name {
                // The console compresses the plain body that it has received, so it knows the body by both tags.
                &header::IF_NONE_MATCH if accepts_gzip(&request) => {
                    String::from_utf8_lossy(value.as_bytes()).replace("-gzip\"", "\"").into_bytes()
                }
                _ => value.as_bytes().to_vec(),
            };
            forwarded = forwarded.header(name.as_str(), value);
        }
    }
    let forwarded = if body.is_empty() { forwarded } else { forwarded.body(body) };
    let unreachable = |error: reqwest::Error| {
        let why = if error.is_timeout() { "did not answer in time" } else { "does not answer" };
        Problem::overloaded(
            RETRY_AFTER,
            format!("{service} {why} at {}. Start the stack with `make up`.", upstream.url),
        )
    };
    let mut answer = forwarded.send().await.map_err(unreachable)?;
    // A stream has no end. The path alone may not tell, if the service routes it in another way.
    let media_type = answer.headers().get(header::CONTENT_TYPE.as_str()).map(|value| value.as_bytes());
    if media_type.is_some_and(|media_type| media_type.to_ascii_lowercase().starts_with(b"text/event-stream")) {
        return Err(feed());
    }
    let status = answer.status().as_u16().try_into().map_err(Problem::internal)?;
    let mut response = HttpResponse::build(status);
    for name in &RETURNED {
        for value in answer.headers().get_all(name.as_str()) {
            response.append_header((name.clone(), value.as_bytes()));
        }
    }
    // In one piece: a body that breaks off must not look complete, and no route of a service has an endless one.
    let mut whole = web::BytesMut::new();
    while let Some(part) = answer.chunk().await.map_err(unreachable)? {
        if whole.len() + part.len() > LARGEST {
            return Err(Problem::internal(format!("{service} answers {} with a body that is too large", url.path())));
        }
        whole.extend_from_slice(&part);
    }
    Ok(response.body(whole))
}

fn feed() -> Problem {
    Problem::not_found("The console follows the feeds of the services itself: /live merges them.")
}
