//! The index on disk: one document for each product, and in each commit what makes it whole.
//!
//! A commit is atomic, and carries the [`Commit`] record: the number of the last event that is in it, and the names of
//! the categories. So a restart, after `kill -9` too, resumes at that number with nothing lost and nothing twice. The
//! names of categories are not in the documents: a category is renamed by one commit, however many products it has.
//!
//! | module | what it is for |
//! |---|---|
//! | [`schema`] | the fields, and products as documents |
//! | [`store`] | the directory: open, repair by beginning anew, change, commit |
//! | [`snapshot`] | the index as of one commit, for searching |

pub mod schema;
pub mod snapshot;
pub mod store;

use std::collections::BTreeMap;

use events::log::LogPosition;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use schema::{Fields, Row};
pub use snapshot::Snapshot;
pub use store::{Store, StoreError};

/// The names of categories.
pub type Categories = BTreeMap<i64, String>;

/// What a commit records beside the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Every event up to this number is in the documents; later ones may be.
    pub position: u64,
    /// The epoch of that event: which history of the catalogue's log the documents are of.
    #[serde(default)]
    pub epoch: Option<Uuid>,
    /// Whether Redis has not been told yet what these events outdate.
    pub owed: bool,
    /// The names of categories.
    pub categories: Categories,
}

impl Commit {
    /// The last event that is in the documents.
    pub fn mark(&self) -> LogPosition {
        LogPosition { seq: self.position, epoch: self.epoch }
    }
}
