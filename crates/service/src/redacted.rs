//! Paths for log messages: without the ids that are secrets.
//!
//! Only its id protects a cart. The id is a UUID, and nothing else in our paths is a UUID. So each UUID is replaced by
//! its [reference](contract::cart_reference), which also identifies the cart in events and cache keys.

use std::borrow::Cow;

use contract::cart_reference;
use uuid::Uuid;

/// Returns `path` with each UUID replaced by a reference.
pub(crate) fn path(path: &str) -> Cow<'_, str> {
    if !path.split('/').any(|part| uuid(part).is_some()) {
        return Cow::Borrowed(path);
    }
    let parts = path.split('/').map(|part| match uuid(part) {
        Some(id) => Cow::Owned(cart_reference(id).to_string()),
        None => Cow::Borrowed(part),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("/"))
}

/// Parses every form that the parser accepts, also forms that no route accepts.
fn uuid(part: &str) -> Option<Uuid> {
    Uuid::try_parse(part).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cart_ids_are_replaced_in_paths() {
        let id = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
        let reference = cart_reference(id);
        assert_eq!(path(&format!("/carts/{id}/items/7")), format!("/carts/{reference}/items/7"));
        for form in [id.to_string().to_uppercase(), id.simple().to_string(), id.braced().to_string()] {
            assert_eq!(path(&format!("/carts/{form}")), format!("/carts/{reference}"));
        }
        for plain in ["/", "/products/ttl/1", "/cache/entries", "", "/carts/not-an-id"] {
            assert_eq!(path(plain), plain);
        }
    }
}
