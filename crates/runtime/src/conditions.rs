//! Conditional requests: `If-Match` on writes, `If-None-Match` on reads (RFC 9110, 13.1).

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};

use crate::problem::Problem;

/// What `If-Match` asks of the row that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// There is none, or `*`.
    Any,
    /// One of these versions. An empty list matches nothing.
    OneOf(Vec<i64>),
}

/// Reads `If-Match`. A weak tag never matches, and neither does one that is no version.
///
/// # Errors
/// When it is neither `*` nor a list of quoted tags.
pub fn if_match(request: &HttpRequest) -> Result<IfMatch, Problem> {
    let Some(header) = text(request, header::IF_MATCH)? else { return Ok(IfMatch::Any) };
    if header.trim() == "*" {
        return Ok(IfMatch::Any);
    }
    let mut versions = Vec::new();
    for tag in header.split(',').map(str::trim) {
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        let opaque = strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let Some(opaque) = opaque.filter(|opaque| !opaque.contains('"')) else {
            return Err(Problem::malformed("If-Match must be `*` or a list of quoted versions, such as \"7\"."));
        };
        versions.extend(opaque.parse::<i64>().ok().filter(|_| strong == tag));
    }
    Ok(IfMatch::OneOf(versions))
}

/// Whether `If-None-Match` names `tag`, compared weakly as reads are.
pub fn unchanged(request: &HttpRequest, tag: &str) -> bool {
    let Some(header) = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    header.trim() == "*" || header.split(',').any(|named| named.trim().trim_start_matches("W/") == tag)
}

fn text(request: &HttpRequest, name: HeaderName) -> Result<Option<&str>, Problem> {
    let Some(value) = request.headers().get(&name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| Problem::malformed(format!("{name} is not readable text.")))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn if_match_takes_versions_and_nothing_weak() {
        for (header, expect) in [
            (None, Some(IfMatch::Any)),
            (Some("*"), Some(IfMatch::Any)),
            (Some("\"7\""), Some(IfMatch::OneOf(vec![7]))),
            (Some("\"7\", \"8\""), Some(IfMatch::OneOf(vec![7, 8]))),
            (Some("W/\"7\""), Some(IfMatch::OneOf(vec![]))),
            (Some("\"abc\""), Some(IfMatch::OneOf(vec![]))),
            (Some("7"), None),
            (Some("\"7\" \"8\""), None),
            (Some(""), None),
        ] {
            let request = TestRequest::default();
            let request = match header {
                Some(header) => request.insert_header((header::IF_MATCH, header)),
                None => request,
            };
            assert_eq!(if_match(&request.to_http_request()).ok(), expect, "{header:?}");
        }
    }

    #[test]
    fn if_none_match_is_compared_weakly() {
        for (header, is_unchanged) in
            [("\"7\"", true), ("W/\"7\"", true), ("*", true), ("\"6\", \"7\"", true), ("\"8\"", false)]
        {
            let request = TestRequest::default().insert_header((header::IF_NONE_MATCH, header)).to_http_request();
            assert_eq!(unchanged(&request, "\"7\""), is_unchanged, "{header}");
        }
    }
}
