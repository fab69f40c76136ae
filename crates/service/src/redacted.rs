//! Paths for log messages: without the ids that are secrets.
//!
//! Only its id protects a cart. The id is a UUID, and nothing else in our paths is a UUID. So each UUID is replaced by
//! its [reference](contract::cart_reference), which also identifies the cart in events and cache keys.

use std::borrow::Cow;

use contract::cart_reference;
use percent_encoding::{CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

/// The lengths of the forms of a UUID: with hyphens, and without.
const LENGTHS: [usize; 2] = [36, 32];
/// How often a path is decoded. The router decodes it once.
const DECODED_AT_MOST: usize = 3;

/// Returns `path` with each UUID replaced by a reference, also if it is percent-encoded, and in forms that no route accepts.
pub(crate) fn path(path: &str) -> Cow<'_, str> {
    let mut decoded = Cow::Borrowed(path);
    for _ in 0..DECODED_AT_MOST {
        if !decoded.contains('%') {
            break;
        }
        decoded = Cow::Owned(percent_decode_str(&decoded).decode_utf8_lossy().into_owned());
    }
    match without_ids(&decoded) {
        None => Cow::Borrowed(path),
        // A decoded path may have line breaks.
        Some(redacted) => Cow::Owned(utf8_percent_encode(&redacted, CONTROLS).to_string()),
    }
}

/// Returns the text with references instead of UUIDs; `None` if it has no UUID.
fn without_ids(text: &str) -> Option<String> {
    let (mut redacted, mut rest, mut has_id) = (String::with_capacity(text.len()), text, false);
    while let Some(first) = rest.chars().next() {
        let length = match uuid_at_start(rest) {
            Some((id, length)) => {
                has_id = true;
                redacted.push_str(&cart_reference(id).to_string());
                length
            }
            None => {
                redacted.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    has_id.then_some(redacted)
}

fn uuid_at_start(text: &str) -> Option<(Uuid, usize)> {
    LENGTHS.into_iter().find_map(|length| Some((Uuid::try_parse(text.get(..length)?).ok()?, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cart_ids_are_replaced_in_paths() {
        let id = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
        let reference = cart_reference(id);
        assert_eq!(path(&format!("/carts/{id}/items/7")), format!("/carts/{reference}/items/7"));
        for form in [id.to_string().to_uppercase(), id.simple().to_string()] {
            assert_eq!(path(&format!("/carts/{form}")), format!("/carts/{reference}"));
        }
        for plain in ["/", "/products/ttl/1", "/cache/entries", "", "/carts/not-an-id", "/a%20b%0a", "/%ff", "/100%"] {
            assert_eq!(path(plain), plain);
        }
    }

    #[test]
    fn cart_ids_are_replaced_in_paths_that_are_not_canonical() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let reference = cart_reference(id.parse().expect("an id")).to_string();
        for (written, expected) in [
            ("/carts/%367e55044-10b1-426f-9247-bb680e5fe0c8", "/carts/REF"),
            ("/carts/%25367e55044-10b1-426f-9247-bb680e5fe0c8", "/carts/REF"),
            ("/carts/ID%20", "/carts/REF "),
            ("/carts/ID%0d%0aforged", "/carts/REF%0D%0Aforged"),
            ("/carts/ID.json", "/carts/REF.json"),
            ("/carts/{ID}", "/carts/{REF}"),
            ("/carts/é7ID", "/carts/%C3%A97REF"),
            ("/carts/IDID", "/carts/REFREF"),
        ] {
            let expected = expected.replace("REF", &reference);
            assert_eq!(path(&written.replace("ID", id)), expected, "{written}");
        }
    }
}
