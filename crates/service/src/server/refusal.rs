//! Responses to input that never becomes a request: problems that the connection writes itself.
//!
//! The HTTP parser responds to invalid input with a bare status, and offers no way to add a body. So the connection
//! recognises that response when the parser writes it, and writes a problem instead.

use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::HttpDate;
use bytes::Bytes;
use memchr::memmem;

use crate::problem::{Kind, Problem, RETRY_AFTER};

/// The maximum length of the head of the parser's own responses; the longest one is shorter.
const LONGEST: usize = 256;

/// Returns the start of the parser's own response in `written` and its status, if `written` ends with such a response.
pub(super) fn bare_error(written: &[u8]) -> Option<(usize, StatusCode)> {
    if !written.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = written.len().saturating_sub(LONGEST);
    let start = from + memmem::rfind(&written[from..], b"HTTP/1.")?;
    let head = &written[start..];
    let status = StatusCode::from_bytes(head.get(9..12)?).ok().filter(StatusCode::is_client_error)?;
    // Every response of the application with one of these statuses contains a problem.
    let is_bare =
        memmem::find(head, b"\r\ncontent-length: 0\r\n").is_some() && memmem::find(head, b"content-type").is_none();
    is_bare.then_some((start, status))
}

/// Returns the problem for a status of the parser.
pub(super) fn of_parser(status: StatusCode) -> Problem {
    if status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
        return headers_too_large();
    }
    Problem::malformed("The request is not valid HTTP/1.1: see RFC 9112, sections 3 and 5.")
}

pub(super) fn headers_too_large() -> Problem {
    Problem::new(
        Kind::HeadersTooLarge,
        "The request line and the headers have more bytes or more fields than this service reads.",
    )
}

pub(super) fn late_headers(limit: Duration) -> Problem {
    let detail = format!("The request line and the headers must arrive within {} seconds.", limit.as_secs_f64());
    Problem::new(Kind::RequestTimeout, detail)
}

pub(super) fn too_many_connections() -> Problem {
    Problem::overloaded(RETRY_AFTER, "As many connections are open as this service accepts. Try again later.")
}

/// Returns the whole response, after which the connection closes.
pub(super) fn response(problem: &Problem) -> Bytes {
    let status = problem.kind().status();
    let body = serde_json::to_string(problem).unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "the Date header is wall-clock time")]
    let date = HttpDate::from(SystemTime::now());
    let retry = problem.retry_after_seconds().map(|wait| format!("retry-after: {wait}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
         cache-control: no-store\r\n{retry}date: {date}\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len(),
    );
    Bytes::from(head + &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parser_s_own_responses_are_recognised() {
        let bare = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: Thu, 26 Nov 2026 14:00:00 GMT\r\n\r\n";
        assert_eq!(bare_error(bare), Some((0, StatusCode::BAD_REQUEST)));
        let behind = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".as_slice(), bare].concat();
        assert_eq!(bare_error(&behind), Some((behind.len() - bare.len(), StatusCode::BAD_REQUEST)));
        for other in [
            "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\ncontent-type: application/problem+json\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 120\r\n\r\n",
            "HTTP/1.1 400",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(bare_error(other.as_bytes()), None, "{other}");
        }
    }
}
