//! The ids of products, categories and carts, parsed where a request enters.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A text that is no id; the message says what an id is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(String);

impl InvalidId {
    pub(crate) fn new(rule: &str) -> Self {
        Self(rule.to_owned())
    }
}

macro_rules! number {
    ($name:ident, $what:literal) => {
        #[doc = concat!("The id of a ", $what, ": a positive number.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(i64);

        impl $name {
            /// Returns the id as the database stores it.
            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // No leading zeros, so that each id has exactly one URL.
                let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|number| digits && *number > 0);
                let rule = || format!(concat!("a ", $what, " id is a number from 1 to {}"), i64::MAX);
                number.map(Self).ok_or_else(|| InvalidId(rule()))
            }
        }
    };
}

number!(ProductId, "product");
number!(CategoryId, "category");

/// The id of a cart: a random UUID, so that it cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CartId(Uuid);

impl CartId {
    /// Returns the name by which operators and other services know the cart; see [`cart_reference`].
    pub fn reference(self) -> Uuid {
        cart_reference(self.0)
    }

    /// Returns the id as the database stores it.
    pub fn get(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for CartId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for CartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CartId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // The parser also accepts braces, URNs and bare digits, but a cart has exactly one URL.
        let parsed = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
        let rule = "a cart id is a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8";
        parsed.map(Self).ok_or_else(|| InvalidId::new(rule))
    }
}

/// Returns the public name of a cart: the first 16 bytes of the SHA-256 of its id.
///
/// Any client that knows the id of a cart may read and change the cart, so the id appears in no event, no key, no feed
/// and no log. An id has 122 random bits, so it cannot be found by trying ids until one results in a known reference.
pub fn cart_reference(id: Uuid) -> Uuid {
    let hash = Sha256::digest(id.as_bytes());
    let mut reference = [0; 16];
    reference.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_id_is_a_positive_number_and_nothing_else() {
        assert_eq!("1".parse(), Ok(ProductId(1)));
        assert_eq!("9223372036854775807".parse(), Ok(ProductId(i64::MAX)));
        assert_eq!("9223372036854775807".parse(), Ok(CategoryId(i64::MAX)));
        for text in
            ["", "0", "-1", "+1", "01", "1.0", "1e3", "abc", " 1", "9223372036854775808", "99999999999999999999999"]
        {
            assert!(text.parse::<ProductId>().is_err(), "{text}");
            assert!(text.parse::<CategoryId>().is_err(), "{text}");
        }
    }

    #[test]
    fn cart_id_has_one_form_in_either_case() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(id.to_uppercase().parse::<CartId>().map(|id| id.to_string()), Ok(id.to_owned()));
        let urn = format!("urn:uuid:{id}");
        for text in ["", "1", &id[1..], &urn, &format!("{{{id}}}"), &id.replace('-', ""), &id.replace('6', "g")] {
            assert!(text.parse::<CartId>().is_err(), "{text}");
        }
    }
}
