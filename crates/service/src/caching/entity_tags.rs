//! The value of `If-Match` and `If-None-Match`: `*`, or a list of entity tags (RFC 9110, 13.1).
//!
//! A tag may contain commas (RFC 9110, 8.8.3), so this module splits the list with regard to quotes. The typed headers of
//! actix split it at every comma, and skip every member that is not a tag: a write would ignore a part of its conditions.

use std::str;

use actix_web::HttpRequest;
use actix_web::error::ParseError;
use actix_web::http::header::{EntityTag, HeaderName};

/// The value of a header that names entity tags.
#[derive(Clone, Debug)]
pub(crate) enum EntityTags {
    /// `*`: any representation.
    Any,
    /// These tags, of which there is at least one.
    Listed(Vec<EntityTag>),
}

impl EntityTags {
    /// Reads all lines of a header; `None` if the request does not have it.
    ///
    /// # Errors
    /// Returns an error if the value is neither `*` nor a list of entity tags. An empty list is not a condition.
    pub(crate) fn of(request: &HttpRequest, name: &HeaderName) -> Result<Option<Self>, ParseError> {
        let mut lines = request.headers().get_all(name);
        let Some(first) = lines.next() else { return Ok(None) };
        if first.as_bytes().trim_ascii() == b"*" && lines.next().is_none() {
            return Ok(Some(Self::Any));
        }
        let tags = listed(request, name).collect::<Result<Vec<_>, _>>()?;
        if tags.is_empty() { Err(ParseError::Header) } else { Ok(Some(Self::Listed(tags))) }
    }

    /// Returns whether it names a representation whose tag fulfils `is_it`.
    pub(crate) fn any(&self, is_it: impl Fn(&EntityTag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(is_it),
        }
    }
}

/// Returns the members of the list, from all lines of the header. Empty members do not count (RFC 9110, 5.6.1).
pub(crate) fn listed<'a>(
    request: &'a HttpRequest, name: &HeaderName,
) -> impl Iterator<Item = Result<EntityTag, ParseError>> + use<'a> {
    request.headers().get_all(name).flat_map(|line| {
        let mut is_quoted = false;
        let members = line.as_bytes().split(move |byte| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        });
        members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()).map(parse)
    })
}

/// Parses a member. The services issue tags of visible ASCII only, as their descriptions say.
fn parse(member: &[u8]) -> Result<EntityTag, ParseError> {
    let member = str::from_utf8(member).ok().filter(|member| member.is_ascii());
    member.ok_or(ParseError::Header)?.parse()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderValue, IF_MATCH};
    use actix_web::test::TestRequest;

    use super::*;

    /// Returns the parsed value of these lines; `None` if it is malformed.
    fn parsed(lines: &[&[u8]]) -> Option<EntityTags> {
        let mut request = TestRequest::default();
        for line in lines {
            request = request.append_header((IF_MATCH, HeaderValue::from_bytes(line).unwrap()));
        }
        EntityTags::of(&request.to_http_request(), &IF_MATCH).ok().map(|value| value.expect("the header is there"))
    }

    #[test]
    fn list_is_split_at_commas_outside_of_quotes_only() {
        for (lines, expected) in [
            (&[br#""7""#.as_slice()] as &[&[u8]], &[r#""7""#] as &[&str]),
            (&[br#""a,b""#], &[r#""a,b""#]),
            (&[br#""a,b", W/"c, d""#], &[]),
            (&[br#""a,b",W/"c,,d" , ,"," "#], &[r#""a,b""#, r#"W/"c,,d""#, r#"",""#]),
            (&[br#""a,"#, br#"b""#], &[]),
            (&[br#""a,b""#, br#", "c""#], &[r#""a,b""#, r#""c""#]),
            (&[br#""a,"7",b""#], &[]),
            (&[br#""a,b"#], &[]),
            (&[br#"a,b"#], &[]),
            (&[br#""a,b" "c""#], &[]),
            (&[br#"w/"7""#], &[]),
            (&[b"\"\xc3\xa9\""], &[]),
            (&[b"*", br#""7""#], &[]),
            (&[b"*", b"*"], &[]),
            (&[b" , ,"], &[]),
            (&[b""], &[]),
        ] {
            let tags = match parsed(lines) {
                Some(EntityTags::Listed(tags)) => tags.iter().map(EntityTag::to_string).collect(),
                Some(EntityTags::Any) => vec!["*".to_owned()],
                None => Vec::new(),
            };
            assert_eq!(tags, expected, "{lines:?}");
        }
        assert!(matches!(parsed(&[b" * "]), Some(EntityTags::Any)));
    }

    #[test]
    fn absent_header_is_no_condition() {
        assert!(EntityTags::of(&TestRequest::default().to_http_request(), &IF_MATCH).unwrap().is_none());
    }
}
