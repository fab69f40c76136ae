//! The ids in a request, parsed and validated.

use std::fmt;
use std::str::FromStr;

use events::contract::cart_reference;
use uuid::Uuid;

/// The id of a product: a positive number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProductId(i64);

/// The id of a cart: a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CartId(Uuid);

impl ProductId {
    /// Returns the id as the database stores it.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl CartId {
    /// Returns the reference that events and keys use instead of the id; see [`cart_reference`].
    pub fn reference(self) -> Uuid {
        cart_reference(self.0)
    }

    /// Returns the id as a UUID.
    pub fn get(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ProductId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Leading zeros are refused, so that each product has one URL.
        let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number > 0);
        number.map(Self).ok_or_else(|| format!("a product id is a number from 1 to {}", i64::MAX))
    }
}

impl FromStr for CartId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        // The parser also accepts braces, URNs and bare digits; they are refused, so that each cart has one name.
        let parsed = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
        parsed.map(Self).ok_or("a cart id is a UUID, such as 67e55044-10b1-426f-9247-bb680e5fe0c8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_id_is_a_positive_number() {
        assert_eq!("9223372036854775807".parse::<ProductId>().map(ProductId::get), Ok(i64::MAX));
        for text in ["", "0", "-1", "+1", "01", "1.0", "1e3", "abc", " 1", "9223372036854775808"] {
            assert!(text.parse::<ProductId>().is_err(), "{text}");
        }
    }

    #[test]
    fn cart_id_has_one_form_in_either_case() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(id.to_uppercase().parse::<CartId>().map(|id| id.to_string()), Ok(id.to_owned()));
        for text in ["", "1", &id[1..], &format!("urn:uuid:{id}"), &format!("{{{id}}}"), &id.replace('-', "")] {
            assert!(text.parse::<CartId>().is_err(), "{text}");
        }
    }
}
