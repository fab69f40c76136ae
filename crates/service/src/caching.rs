//! What a client or a cache in front of this service may do with a representation: the validator in its `ETag`, conditional
//! requests and `Cache-Control`.
//!
//! **Validators** distinguish a representation from all others (RFC 9110, 8.8).
//!
//! | representation | validator |
//! |---|---|
//! | a row | `<version>-<digest of the body>` |
//! | a numbered state, such as a line of a cart | `<version>` |
//! | any other cached or computed value | `<digest of the body>` |
//! | a cached value with additional current data | `<digest of the value>-<digest of the additional data>` |
//!
//! The digest depends on everything in the body, including data from other rows, and so also distinguishes a row that
//! was deleted and created again. The version is for people: the digest alone would suffice. Every validator is strong.
//!
//! **Conditional requests** (RFC 9110, 13) have `If-Match` and `If-None-Match`, on writes and on reads.
//! The conditions of a write are compared while the row is locked, in the transaction that changes it:
//!
//! ```text
//! writer A   BEGIN ─ lock row ─ compare ─ UPDATE ─ COMMIT
//! writer B   BEGIN ─ lock row … waits …           ─ compare: another validator ─ ROLLBACK ─ 412
//! ```
//!
//! **`Cache-Control`** says what a cache between the client and this service may do with a response (RFC 9111, RFC 5861).
//!
//! | [`Caching`] | header | the response |
//! |---|---|---|
//! | `Validated` | `no-cache` | may be stored, and must be validated before every use |
//! | `Ttl` | `max-age=…` | may be used as long as its entry is fresh |
//! | `StaleWhileRevalidate` | `max-age=…, stale-while-revalidate=…` | … and then while the entry may be served stale |
//! | `Private` | `private, no-store` | belongs to one person, and must not be stored |
//! | `Never` | `no-store` | must not be stored |
//!
//! A value that was loaded without the cache has no entry with a remaining TTL: its header is `no-cache`. `max-age` is
//! the remaining TTL of the entry, although the response's `Age` counts from the fill. So a cache that honours `Age`
//! keeps the response for less time than it might, and no cache keeps it for longer than the strategy allows.

pub(crate) mod entity_tags;

use std::fmt;

use actix_web::HttpRequest;
use actix_web::http::header::{self, EntityTag, HeaderValue};
use bytes::Bytes;
use cache::Cached;
use cache::loader::Digest;
use serde::Serialize;

use self::entity_tags::EntityTags;
use crate::problem::Problem;
use crate::response_middleware::compression;

/// The opaque part of an entity tag: visible ASCII without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator(String);

impl Validator {
    /// Returns the validator of a row whose representation is the JSON of `row`.
    ///
    /// # Errors
    /// Returns an error if `row` cannot be serialised as JSON.
    pub fn of_row<T: Serialize>(version: i64, row: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::of_row_body(version, &serde_json::to_vec(row)?))
    }

    /// Returns the validator of a row whose representation is `body`.
    pub(crate) fn of_row_body(version: i64, body: &[u8]) -> Self {
        Self(format!("{version}-{}", Digest::of(body)))
    }

    /// Returns the validator of any other value whose representation is `body`.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        Self(Digest::of(body).to_string())
    }

    /// Returns the validator of a cached value, from the digest that was stored with it; `None` for an absent value.
    pub(crate) fn of_fetched<T>(fetched: &Cached<T>, beside: Option<&[u8]>) -> Option<Self> {
        let digest = fetched.digest()?;
        let mut text = String::with_capacity(2 * digest.len() + 21);
        if let Some(version) = fetched.version() {
            text.push_str(itoa::Buffer::new().format(version));
            text.push('-');
        }
        text.push_str(digest);
        if let Some(beside) = beside {
            text.push('-');
            text.push_str(&Digest::of(beside).to_string());
        }
        Some(Self(text))
    }

    /// Returns a validator that is a number, for a state that the number alone identifies.
    pub fn of_number(number: i64) -> Self {
        Self(number.to_string())
    }

    /// Returns the validator of a representation whose digest is known already. `digest` is visible ASCII without quotes.
    pub fn of_digest(digest: impl Into<String>) -> Self {
        Self(digest.into())
    }

    /// Returns whether `tag` names this validator and is strong (RFC 9110, 8.8.3.2).
    pub(crate) fn is_strongly(&self, tag: &EntityTag) -> bool {
        !tag.weak && self.is_weakly(tag)
    }

    /// Returns whether `tag` names this validator, weak or not.
    pub(crate) fn is_weakly(&self, tag: &EntityTag) -> bool {
        // A compressed representation has its own tag, and represents the same state.
        tag.tag().strip_suffix(compression::SUFFIX).unwrap_or(tag.tag()) == self.0
    }

    /// Returns the value of the `ETag` header; `None` for a text that is not a valid header value, such as a foreign
    /// digest in Redis.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut text = String::with_capacity(self.0.len() + 2);
        for part in ["\"", &self.0, "\""] {
            text.push_str(part);
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// The conditions that a client requires of the current representation before it is changed.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    if_match: Option<EntityTags>,
    if_none_match: Option<EntityTags>,
}

impl Preconditions {
    /// Reads `If-Match` and `If-None-Match`.
    ///
    /// # Errors
    /// Returns a problem if one of them is neither `*` nor a list of entity tags.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let parse = |name| EntityTags::of(request, &name).map_err(|_| malformed(name));
        Ok(Self { if_match: parse(header::IF_MATCH)?, if_none_match: parse(header::IF_NONE_MATCH)? })
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
            (Some(tags), Some(current)) => tags.any(|tag| current.is_strongly(tag)),
        };
        let none_matches = match (&self.if_none_match, current) {
            (None, _) | (Some(_), None) => true,
            (Some(tags), Some(current)) => !tags.any(|tag| current.is_weakly(tag)),
        };
        matches && none_matches
    }
}

/// Returns the problem of a request whose preconditions do not hold; `current` is the validator that it should have
/// named.
pub fn precondition_failed(current: Option<&Validator>) -> Problem {
    Problem::precondition_failed(match current {
        Some(current) => format!("The preconditions do not hold for the current ETag, which is {current}."),
        None => "The preconditions do not hold, because there is no current representation.".to_owned(),
    })
}

/// Checks the `If-Match` of a read, which names the representation that the client wants (RFC 9110, 13.1.1).
///
/// # Errors
/// Returns a problem if it does not name `current`, or is malformed.
pub(crate) fn require_match(request: &HttpRequest, current: Option<&Validator>) -> Result<(), Problem> {
    if !request.headers().contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let if_match = EntityTags::of(request, &header::IF_MATCH).map_err(|_| malformed(header::IF_MATCH))?;
    let required = Preconditions { if_match, if_none_match: None };
    if required.hold_for(current) { Ok(()) } else { Err(precondition_failed(current)) }
}

/// Returns whether the `If-None-Match` of a read names `current`. An invalid header names nothing.
///
/// The tag of the compressed representation counts only for a client that accepts gzip: a shared cache that holds that
/// representation would otherwise send it to a client that cannot read it.
pub(crate) fn is_unchanged(request: &HttpRequest, current: &Validator) -> bool {
    if !request.headers().contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    let condition = EntityTags::of(request, &header::IF_NONE_MATCH).unwrap_or_default();
    let accepts_gzip = compression::accepts_gzip(request);
    let is_usable = |tag: &EntityTag| accepts_gzip || !tag.tag().ends_with(compression::SUFFIX);
    condition.is_some_and(|tags| tags.any(|tag| current.is_weakly(tag) && is_usable(tag)))
}

fn malformed(name: header::HeaderName) -> Problem {
    Problem::malformed(format!("{name} must be `*` or a list of entity tags, such as \"7-3b1f\"."))
}

/// What a strategy allows other caches to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// A response must be validated before every use: the strategy promises fresh reads.
    #[default]
    Validated,
    /// A response may be stale within the entry's TTL.
    Ttl,
    /// A response may be stale within the entry's hard TTL, while a refresh runs after the soft TTL.
    StaleWhileRevalidate,
    /// A response belongs to one person, and must not be stored.
    Private,
    /// A response describes one moment, and must not be stored.
    Never,
}

impl Caching {
    /// Returns the header of a response with the value `fetched`.
    pub(crate) fn of<T>(self, fetched: &Cached<T>) -> HeaderValue {
        self.header(fetched.ttl_ms(), fetched.hard_ttl_ms())
    }

    /// Returns the header of a response without an entry.
    pub(crate) fn without_entry(self) -> HeaderValue {
        self.header(0, 0)
    }

    fn header(self, soft_ms: i64, hard_ms: u64) -> HeaderValue {
        let (fresh, usable) = (seconds(u64::try_from(soft_ms).unwrap_or(0)), seconds(hard_ms));
        let text = match self {
            Self::Ttl if fresh > 0 => format!("max-age={fresh}"),
            Self::StaleWhileRevalidate if usable > fresh => {
                format!("max-age={fresh}, stale-while-revalidate={}", usable - fresh)
            }
            Self::StaleWhileRevalidate if fresh > 0 => format!("max-age={fresh}"),
            Self::Validated | Self::Ttl | Self::StaleWhileRevalidate => return HeaderValue::from_static("no-cache"),
            Self::Private => return HeaderValue::from_static("private, no-store"),
            Self::Never => return HeaderValue::from_static("no-store"),
        };
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("no-cache"))
    }
}

/// Returns the whole seconds that end before `ms` have passed: the response is in transit for a part of them.
fn seconds(ms: u64) -> u64 {
    ms.saturating_sub(1) / 1000
}

#[cfg(test)]
mod tests;
