//! The words of generated products, `seed/vocabulary.json`, grouped by category and material.
//!
//! Everything is written as in running text; the generator capitalises names. A change there changes the products of a
//! fresh database, and leaves filled databases unchanged.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The file that is compiled into the binary.
pub(super) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../seed/vocabulary.json")).expect("a test reads the same file")
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vocabulary {
    /// Makers and collections, the first word of a name.
    pub(super) series: Vec<String>,
    /// Last sentences. Not every product has one.
    pub(super) closings: Vec<String>,
    /// Lists that several shelves share.
    pub(super) lists: HashMap<String, Vec<String>>,
    pub(super) shelves: Vec<Shelf>,
}

/// Things of one category that come in the same materials, and the sentences about them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shelf {
    pub(super) category_id: i64,
    pub(super) qualities: Vec<String>,
    pub(super) materials: Vec<String>,
    /// A thing, and the lowest and highest price for it in whole units of money.
    pub(super) things: Vec<(String, u64, u64)>,
    /// The name of a shared list.
    pub(super) variants: String,
    /// The name of a shared list.
    pub(super) openings: String,
    pub(super) uses: Vec<String>,
    pub(super) details: Vec<String>,
}
