//! The index on disk: one document per product, and a record in each commit.
//!
//! A commit is atomic, and carries the [`Commit`] record: the number of the last event in the index, and the category
//! names. So a restart, even after `kill -9`, resumes at that number; no event is lost or applied twice. The documents
//! do not contain category names, so one commit renames a category, however many products it has.
//!
//! | module | purpose |
//! |---|---|
//! | [`schema`] | the fields, and products as documents |
//! | [`store`] | the directory: opens, rebuilds, changes and commits the index |
//! | [`snapshot`] | the index as of one commit, for searching |

pub mod schema;
pub mod snapshot;
pub mod store;

use std::collections::BTreeMap;

use outbox::log::LogPosition;
pub use schema::{Fields, Row};
use serde::{Deserialize, Serialize};
pub use snapshot::IndexSnapshot;
pub use store::{Store, StoreError};
use uuid::Uuid;

/// The category names by id.
pub type Categories = BTreeMap<i64, String>;

/// The record that a commit stores with the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The documents include every event up to this number, and may include later ones.
    pub position: u64,
    /// The epoch of that event, which identifies the history of the catalogue's log.
    #[serde(default)]
    pub epoch: Option<Uuid>,
    /// Whether the invalidation of all pages is pending in Redis.
    #[serde(rename = "owed")]
    pub pending_invalidation: bool,
    /// The category names.
    pub categories: Categories,
}

impl Commit {
    /// Returns the position of the last event in the documents.
    pub fn log_position(&self) -> LogPosition {
        LogPosition { seq: self.position, epoch: self.epoch }
    }
}
