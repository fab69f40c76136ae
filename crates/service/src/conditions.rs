//! Conditional requests (RFC 9110, 13): `If-Match` and `If-None-Match` on writes, `If-None-Match` on reads.
//!
//! The conditions of a write are compared while the row is locked, in the transaction that changes it:
//!
//! ```text
//! writer A   BEGIN ─ lock row ─ compare ─ UPDATE ─ COMMIT
//! writer B   BEGIN ─ lock row … waits …           ─ compare: another validator ─ ROLLBACK ─ 412
//! ```

use actix_web::HttpRequest;
use actix_web::http::header::{self, Header, IfMatch, IfNoneMatch};

use crate::problem::Problem;
use crate::validator::Validator;

/// The conditions that a client requires of the current representation before it is changed.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    if_match: Option<IfMatch>,
    if_none_match: Option<IfNoneMatch>,
}

impl Preconditions {
    /// Reads `If-Match` and `If-None-Match`.
    ///
    /// # Errors
    /// Returns a problem if one of them is neither `*` nor a list of entity tags.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let named = |name| request.headers().contains_key(name);
        let if_match = named(header::IF_MATCH).then(|| match IfMatch::parse(request) {
            Ok(IfMatch::Items(tags)) if tags.len() != members(request, &header::IF_MATCH) => {
                Err(malformed(header::IF_MATCH))
            }
            Ok(condition) => Ok(condition),
            Err(_) => Err(malformed(header::IF_MATCH)),
        });
        let if_none_match = named(header::IF_NONE_MATCH).then(|| match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Items(tags)) if tags.len() != members(request, &header::IF_NONE_MATCH) => {
                Err(malformed(header::IF_NONE_MATCH))
            }
            Ok(condition) => Ok(condition),
            Err(_) => Err(malformed(header::IF_NONE_MATCH)),
        });
        Ok(Self { if_match: if_match.transpose()?, if_none_match: if_none_match.transpose()? })
    }

    /// Returns whether there are no conditions, so that nothing has to be compared.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Returns whether the conditions hold for the current representation; `None` if there is none.
    ///
    /// `If-Match` compares strongly and `If-None-Match` weakly (RFC 9110, 13.1.1 and 13.1.2).
    pub fn hold_for(&self, current: Option<&Validator>) -> bool {
        let matches = match (&self.if_match, current) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(IfMatch::Any), Some(_)) => true,
            (Some(IfMatch::Items(tags)), Some(current)) => tags.iter().any(|tag| current.is_strongly(tag)),
        };
        let none_matches = match (&self.if_none_match, current) {
            (None, _) | (Some(_), None) => true,
            (Some(condition), Some(current)) => !names(condition, current),
        };
        matches && none_matches
    }
}

/// Returns the problem of a write whose preconditions do not hold; `current` is the validator that it should have
/// named.
pub fn failed(current: Option<&Validator>) -> Problem {
    Problem::precondition_failed(match current {
        Some(current) => format!("The preconditions do not hold for the current ETag, which is {current}."),
        None => "The preconditions do not hold, because there is no current representation.".to_owned(),
    })
}

/// Returns whether the `If-None-Match` of a read names `current`. An invalid header names nothing.
pub(crate) fn is_unchanged(request: &HttpRequest, current: &Validator) -> bool {
    request.headers().contains_key(header::IF_NONE_MATCH)
        && IfNoneMatch::parse(request).is_ok_and(|condition| names(&condition, current))
}

fn names(condition: &IfNoneMatch, current: &Validator) -> bool {
    match condition {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|tag| current.is_weakly(tag)),
    }
}

/// Returns how many tags a list must have. actix skips an invalid member, but a write must not ignore a part of its
/// conditions.
///
/// At least one: an empty list is not a condition.
fn members(request: &HttpRequest, name: &header::HeaderName) -> usize {
    let lists = request.headers().get_all(name).filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter(|member| !member.trim().is_empty()).count().max(1)
}

fn malformed(name: header::HeaderName) -> Problem {
    Problem::malformed(format!("{name} must be `*` or a list of entity tags, such as \"7-3b1f\"."))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(name: header::HeaderName, value: &str) -> HttpRequest {
        TestRequest::default().insert_header((name, value)).to_http_request()
    }

    #[test]
    fn if_match_compares_strongly_and_needs_a_representation() {
        let current = Validator::of_number(7);
        for (value, holds) in [
            ("*", Some(true)),
            ("\"7\"", Some(true)),
            ("\"7\", \"8\"", Some(true)),
            ("\"8\"", Some(false)),
            ("W/\"7\"", Some(false)),
            ("7", None),
            ("\"7\" \"8\"", None),
            ("\"7\", 8", None),
            ("*, \"7\"", None),
            ("\"7\", ", Some(true)),
            (",", None),
            ("", None),
        ] {
            let conditions = Preconditions::of(&request(header::IF_MATCH, value));
            assert_eq!(conditions.as_ref().ok().map(|some| some.hold_for(Some(&current))), holds, "{value}");
            assert!(conditions.is_err() || !conditions.unwrap().hold_for(None), "{value} holds for nothing");
        }
    }

    #[test]
    fn if_none_match_of_a_write_fails_for_the_named_validators() {
        let current = Validator::of_number(7);
        for (value, holds) in [("*", false), ("\"7\"", false), ("W/\"7\"", false), ("\"8\"", true)] {
            let conditions = Preconditions::of(&request(header::IF_NONE_MATCH, value)).unwrap();
            assert_eq!(conditions.hold_for(Some(&current)), holds, "{value}");
            assert!(conditions.hold_for(None), "{value}: what does not exist matches nothing");
        }
        assert!(Preconditions::of(&request(header::IF_NONE_MATCH, "\"8\", 7")).is_err(), "a member that is no tag");
        assert!(Preconditions::default().is_empty() && Preconditions::default().hold_for(None));
    }

    #[test]
    fn if_none_match_of_a_read_compares_weakly() {
        for (value, is_same) in
            [("\"7\"", true), ("W/\"7\"", true), ("*", true), ("\"6\", \"7\"", true), ("\"8\"", false), ("7", false)]
        {
            let request = request(header::IF_NONE_MATCH, value);
            assert_eq!(is_unchanged(&request, &Validator::of_number(7)), is_same, "{value}");
        }
    }
}
