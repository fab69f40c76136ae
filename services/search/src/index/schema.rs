//! The fields of the index, and products as documents.

use contract::product_api::Product;
use serde::{Deserialize, Serialize};
use tantivy::TantivyDocument;
use tantivy::schema::{BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};

use crate::text::{GRAMS, PAIRS, STEMS, WORDS};

/// The version of fields and tokenizers. Every change of them increases it: an index with another number is removed and
/// rebuilt.
pub const VERSION: u32 = 5;

/// The fields of the index.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// The id of the product.
    pub id: Field,
    /// The id of its category.
    pub category: Field,
    /// The price in cents.
    pub price: Field,
    /// A hash of the [`Row`]: a reindex skips an unchanged product.
    pub fingerprint: Field,
    /// The words of the name, stemmed.
    pub name_stems: Field,
    /// The words of the name as they are written.
    pub name_words: Field,
    /// The pairs of adjacent words of the name, each as one word. Those of descriptions would enlarge the index far more.
    pub name_pairs: Field,
    /// The n-grams of the name, for scripts without spaces.
    pub name_grams: Field,
    /// The words of the description, stemmed.
    pub description_stems: Field,
    /// The words of the description as they are written.
    pub description_words: Field,
    /// The n-grams of the description.
    pub description_grams: Field,
    /// The stored [`Row`].
    pub row: Field,
}

/// The part of a product that its document stores for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The price in cents.
    pub price_cents: i64,
    /// The number of pieces in stock.
    pub stock: i32,
    /// The id of the category.
    pub category_id: i64,
    /// The version of the row in the catalogue.
    pub version: i64,
}

/// Returns the schema and its fields.
pub fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let looked_up = || NumericOptions::default().set_indexed().set_fast();
    let text = |tokenizer: &str, record| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(record);
        TextOptions::default().set_indexing_options(indexing)
    };
    let stems = || text(STEMS, IndexRecordOption::WithFreqs);
    let words = || text(WORDS, IndexRecordOption::Basic);
    let grams = || text(GRAMS, IndexRecordOption::WithFreqsAndPositions);
    let pairs = {
        let indexing = TextFieldIndexing::default().set_tokenizer(PAIRS).set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing.set_index_option(IndexRecordOption::Basic))
    };
    let fields = Fields {
        id: schema.add_i64_field("id", looked_up()),
        category: schema.add_i64_field("category", looked_up()),
        price: schema.add_i64_field("price", NumericOptions::default().set_fast()),
        fingerprint: schema.add_u64_field("fingerprint", NumericOptions::default().set_fast()),
        name_stems: schema.add_text_field("name_stems", stems()),
        name_words: schema.add_text_field("name_words", words()),
        name_pairs: schema.add_text_field("name_pairs", pairs),
        name_grams: schema.add_text_field("name_grams", grams()),
        description_stems: schema.add_text_field("description_stems", stems()),
        description_words: schema.add_text_field("description_words", words()),
        description_grams: schema.add_text_field("description_grams", grams()),
        row: schema.add_bytes_field("row", BytesOptions::default().set_stored()),
    };
    (schema.build(), fields)
}

impl From<&Product> for Row {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id,
            name: product.name.clone(),
            description: product.description.clone(),
            price_cents: product.price_cents,
            stock: product.stock,
            category_id: product.category.id,
            version: product.version,
        }
    }
}

impl Row {
    /// Returns a hash of the content, which differs for another row or another content.
    pub fn fingerprint(&self) -> Result<u64, serde_json::Error> {
        Ok(fnv1a(&serde_json::to_vec(self)?))
    }

    /// Returns the document of this row.
    pub fn document(&self, fields: &Fields) -> Result<TantivyDocument, serde_json::Error> {
        let mut document = TantivyDocument::default();
        document.add_i64(fields.id, self.id);
        document.add_i64(fields.category, self.category_id);
        document.add_i64(fields.price, self.price_cents);
        document.add_text(fields.name_stems, &self.name);
        document.add_text(fields.name_words, &self.name);
        document.add_text(fields.name_pairs, &self.name);
        document.add_text(fields.name_grams, &self.name);
        document.add_text(fields.description_stems, &self.description);
        document.add_text(fields.description_words, &self.description);
        document.add_text(fields.description_grams, &self.description);
        let row = serde_json::to_vec(self)?;
        document.add_u64(fields.fingerprint, fnv1a(&row));
        document.add_bytes(fields.row, &row);
        Ok(document)
    }
}

/// FNV-1a: the same in every process and version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
