//! Validators: the opaque part of an `ETag`, which distinguishes a representation from all others (RFC 9110, 8.8).
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

use std::fmt;

use actix_web::http::header::{EntityTag, HeaderValue};
use bytes::Bytes;
use cache::Cached;
use cache::loader::Digest;
use serde::Serialize;

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
        HeaderValue::from_maybe_shared(Bytes::from(self.to_string())).ok()
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Rows and values: representations with different bytes have different validators.
        #[test]
        fn representations_with_different_bytes_never_share_a_validator(
            bodies in prop::collection::vec((any::<i64>(), prop::collection::vec(0u8..4, 0..6)), 2..20)
        ) {
            let mut known: HashMap<String, Vec<u8>> = HashMap::new();
            for (version, body) in bodies {
                let mut row = body.clone();
                row.extend(version.to_be_bytes());
                for (validator, bytes) in [
                    (Validator::of_row_body(version, &row), row.clone()),
                    (Validator::of_body(&body), body.clone()),
                ] {
                    let shared = known.entry(validator.to_string()).or_insert_with(|| bytes.clone());
                    prop_assert_eq!(&*shared, &bytes);
                }
            }
        }

        #[test]
        fn digest_distinguishes_any_two_bodies(one: Vec<u8>, other: Vec<u8>) {
            let (first, second) = (Validator::of_body(&one), Validator::of_body(&other));
            prop_assert_eq!(first == second, one == other);
        }
    }

    #[test]
    fn weak_tags_match_weakly_only() {
        let validator = Validator::of_number(7);
        let (strong, weak) = (EntityTag::new_strong("7".to_owned()), EntityTag::new_weak("7".to_owned()));
        assert!(validator.is_strongly(&strong) && validator.is_weakly(&strong));
        assert!(!validator.is_strongly(&weak) && validator.is_weakly(&weak));
        let compressed = EntityTag::new_strong("7-gzip".to_owned());
        assert!(validator.is_strongly(&compressed) && validator.is_weakly(&compressed));
    }
}
