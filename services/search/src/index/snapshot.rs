//! The index as of one commit. A snapshot never changes, however long it is held.

use std::collections::HashMap;
use std::sync::Arc;

use outbox::log::LogPosition;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{DocAddress, DocSet, Searcher, TERMINATED, TantivyDocument, TantivyError, Term};
use uuid::Uuid;

use super::{Categories, Fields, Row};

/// The index as of one commit.
#[derive(Clone)]
pub struct IndexSnapshot {
    /// The searcher of tantivy.
    pub searcher: Searcher,
    /// The fields.
    pub fields: Fields,
    /// The category names.
    pub categories: Arc<Categories>,
    /// The snapshot includes every event up to this number.
    pub position: u64,
    /// The epoch of that event.
    pub epoch: Option<Uuid>,
    /// The reindex from which the snapshot descends. Another lineage may belong to another history.
    pub lineage: u64,
}

impl IndexSnapshot {
    /// Returns the position of the last event in the snapshot.
    pub fn log_position(&self) -> LogPosition {
        LogPosition { seq: self.position, epoch: self.epoch }
    }

    /// Returns the number of products.
    pub fn len(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// Returns whether there are no products.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the stored row of a document.
    pub fn row(&self, address: DocAddress) -> tantivy::Result<Row> {
        let document: TantivyDocument = self.searcher.doc(address)?;
        let bytes = document.get_first(self.fields.row).and_then(|value| value.as_bytes());
        let bytes = bytes.ok_or_else(|| TantivyError::InternalError("a document without its row".to_owned()))?;
        serde_json::from_slice(bytes).map_err(|error| TantivyError::InternalError(error.to_string()))
    }

    /// Returns the row of product `id`, if it is indexed.
    pub fn product(&self, id: i64) -> tantivy::Result<Option<Row>> {
        let address = self.address(&Term::from_field_i64(self.fields.id, id))?;
        address.map(|address| self.row(address)).transpose()
    }

    /// Returns the fingerprint of every product.
    pub fn fingerprints(&self) -> tantivy::Result<HashMap<i64, u64>> {
        let mut found = HashMap::with_capacity(usize::try_from(self.len()).unwrap_or_default());
        for segment in self.searcher.segment_readers() {
            let columns = segment.fast_fields();
            let (ids, fingerprints) = (columns.i64("id")?, columns.u64("fingerprint")?);
            let alive = segment.doc_ids_alive();
            found.extend(alive.filter_map(|doc| Some((ids.first(doc)?, fingerprints.first(doc)?))));
        }
        Ok(found)
    }

    fn address(&self, term: &Term) -> tantivy::Result<Option<DocAddress>> {
        for (ordinal, segment) in (0..).zip(self.searcher.segment_readers()) {
            let index = segment.inverted_index(term.field())?;
            let Some(mut postings) = index.read_postings(term, IndexRecordOption::Basic)? else { continue };
            while postings.doc() != TERMINATED {
                if !segment.is_deleted(postings.doc()) {
                    return Ok(Some(DocAddress::new(ordinal, postings.doc())));
                }
                postings.advance();
            }
        }
        Ok(None)
    }
}
