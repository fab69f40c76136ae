//! Compresses larger bodies for clients that accept it (RFC 9110, 8.4 and 12.5.3).
//!
//! A compressed body is another representation, so it has its own `ETag`: the original one with [`SUFFIX`].
//! Preconditions accept both, and a read has 304 for the tag of a representation that its client accepts
//! ([`crate::caching`]). Streams and small bodies are sent unchanged: the body of a cache
//! hit is the stored body.

use actix_http::encoding::Encoder;
use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG, Encoding, Header as _,
    HeaderValue, IF_NONE_MATCH, Preference, Quality, VARY,
};

use crate::caching::entity_tags::listed;

/// The minimum length of a compressed body.
const LEAST: u64 = 1024;

/// The end of the `ETag` of a compressed representation.
pub(crate) const SUFFIX: &str = "-gzip";

const TEXTS: [&[u8]; 6] = [
    b"text/", b"application/json", b"application/problem+json", b"application/javascript", b"image/svg+xml",
    b"application/xml",
];

pub(super) fn compress(mut response: ServiceResponse) -> ServiceResponse {
    if response.status() == StatusCode::NOT_MODIFIED {
        name_known_representation(&mut response);
        return response;
    }
    if !is_worth_it(&response) {
        return response;
    }
    if !accepts_gzip(response.request()) {
        vary(&mut response);
        return response;
    }
    if let Some(tag) = response.headers().get(ETAG).and_then(suffixed) {
        response.headers_mut().insert(ETAG, tag);
    }
    // The encoder sets Content-Encoding and Vary.
    response.map_body(|head, body| BoxBody::new(Encoder::response(ContentEncoding::Gzip, head, body)))
}

fn is_worth_it(response: &ServiceResponse) -> bool {
    let is_large = matches!(response.response().body().size(), BodySize::Sized(length) if length >= LEAST);
    let is_plain = is_large && !response.headers().contains_key(CONTENT_ENCODING);
    let media_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    is_plain && TEXTS.iter().any(|text| media_type.starts_with(text))
}

fn vary(response: &mut ServiceResponse) {
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
}

/// Returns whether the client accepts gzip, and does not prefer the plain body.
pub fn accepts_gzip(request: &HttpRequest) -> bool {
    if !request.headers().contains_key(ACCEPT_ENCODING) {
        return false;
    }
    let Ok(AcceptEncoding(accepted)) = AcceptEncoding::parse(request) else { return false };
    let quality =
        |wanted: Preference<Encoding>| accepted.iter().find(|item| item.item == wanted).map(|item| item.quality);
    let gzip = quality(Preference::Specific(Encoding::gzip())).or_else(|| quality(Preference::Any));
    let plain = quality(Preference::Specific(Encoding::identity()));
    gzip.is_some_and(|gzip| gzip > Quality::ZERO && gzip >= plain.unwrap_or(Quality::ZERO))
}

/// Sets the tag of a 304 to that of the representation that the client has.
fn name_known_representation(response: &mut ServiceResponse) {
    vary(response);
    let request = response.request();
    let plain =
        response.headers().get(ETAG).filter(|plain| accepts_gzip(request) && is_compressed_known(request, plain));
    if let Some(tag) = plain.and_then(suffixed) {
        response.headers_mut().insert(ETAG, tag);
    }
}

/// Returns whether the client names the compressed representation of the one with the tag `plain`.
fn is_compressed_known(request: &HttpRequest, plain: &HeaderValue) -> bool {
    let Some(opaque) = plain.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')) else {
        return false;
    };
    listed(request, &IF_NONE_MATCH).flatten().any(|known| known.tag().strip_suffix(SUFFIX) == Some(opaque))
}

/// Returns `"7-gzip"` for `"7"`.
fn suffixed(tag: &HeaderValue) -> Option<HeaderValue> {
    let opaque = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::try_from(format!("{opaque}{SUFFIX}\"")).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn compressed_representation_is_known_by_a_whole_tag_only() {
        let plain = HeaderValue::from_static("\"7\"");
        for (known, is_known) in [
            ("\"7-gzip\"", true),
            ("W/\"7-gzip\"", true),
            ("\"7\", \"a,b\", \"7-gzip\"", true),
            ("\"7\"", false),
            ("\"17-gzip\"", false),
            ("\"7-gzip-gzip\"", false),
            ("\"a,\"7-gzip\",b\"", false),
            ("7-gzip", false),
            ("*", false),
        ] {
            let request = TestRequest::default().insert_header((IF_NONE_MATCH, known)).to_http_request();
            assert_eq!(is_compressed_known(&request, &plain), is_known, "{known}");
        }
        assert!(!is_compressed_known(&TestRequest::default().to_http_request(), &plain));
    }
}
