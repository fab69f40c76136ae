//! The products and categories that are edited.

use std::ops::Range;

use rand::Rng;
use rand::seq::IndexedRandom;

/// The ids of the edited products, far above those that the database generates: products that exist during the whole
/// fault, products that are created and deleted, and ids that never exist.
pub(super) const STABLE: Range<i64> = 7_000_000_000..7_000_000_036;
pub(super) const FLEETING: Range<i64> = STABLE.end..STABLE.end + 12;
pub(super) const ABSENT: Range<i64> = FLEETING.end..FLEETING.end + 12;
/// The categories that are renamed, and between which the products move.
pub(super) const MOVES: [i64; 3] = [2, 3, 4];
/// A category that never changes.
pub(super) const QUIET: i64 = 7;
/// The number of categories in the catalogue.
pub(super) const CATEGORIES: i64 = 12;
/// The description of products that are created over HTTP, by which they are recognized.
pub(super) const CREATED: &str = "created while faults were made";
/// Searches whose pages show edited products.
pub(super) const QUERIES: [&str; 7] = ["keyboard", "wireless", "coffee", "steel", "light", "trinket", "a"];

/// Returns one of the ids.
pub(super) fn any_of(ids: Range<i64>) -> i64 {
    rand::rng().random_range(ids)
}

/// Returns one of the categories of [`MOVES`].
pub(super) fn any_category() -> i64 {
    MOVES[rand::rng().random_range(0..MOVES.len())]
}

/// Returns a name that two of the [`QUERIES`] find, besides the `a`.
pub(super) fn any_name() -> String {
    let any = |words: [&'static str; 3]| words.choose(&mut rand::rng()).copied().unwrap_or_default();
    format!(
        "{} {} as {}",
        any(["Wireless", "Steel", "Light"]),
        any(["keyboard", "coffee", "trinket"]),
        rand::random::<u16>()
    )
}
