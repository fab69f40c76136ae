//! The directory of the index: it is opened (or rebuilt if damaged), changed and committed. All functions here block.
//!
//! One process owns the directory and holds a lock on it, which ends with the process. An index that is damaged (its
//! files have checksums) or has another schema is removed and rebuilt from the catalogue.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::product_api::Product;
use tantivy::directory::MmapDirectory;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Term};
use tracing::warn;

use super::schema::{self, VERSION};
use super::{Commit, Fields, IndexSnapshot, Row};
use crate::text;

/// The number of indexing threads. More would help only while the index is built.
const THREADS: usize = 2;

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the directory.
    #[error("{0} is used by another process; every replica needs a directory of its own")]
    InUse(PathBuf),
    /// The directory cannot be created, read or written.
    #[error("{0}: {1}")]
    Directory(PathBuf, io::Error),
    /// The index returned an error.
    #[error("the index cannot be used: {0}")]
    Index(#[from] tantivy::TantivyError),
    /// A row or a record is not valid JSON.
    #[error("the index cannot be used: {0}")]
    Json(#[from] serde_json::Error),
}

/// The index, open for changes.
pub struct Store {
    fields: Fields,
    reader: IndexReader,
    writer: IndexWriter,
    _lock: File,
}

impl Store {
    /// Opens the index in `path`. Also returns the record of its last commit; `None` when the index was never built.
    pub fn open(path: &Path, memory: usize) -> Result<(Self, Option<Commit>), StoreError> {
        let directory = path.join(format!("v{VERSION}"));
        let trouble = |error| StoreError::Directory(path.to_owned(), error);
        fs::create_dir_all(path).map_err(trouble)?;
        let lock = lock(path)?;
        remove_other_versions(path).map_err(trouble)?;
        match Self::open_in(&directory, memory, &lock) {
            Ok(opened) => Ok(opened),
            Err(error) => {
                warn!(%error, path = %directory.display(), "the index cannot be read; it is removed and built again");
                fs::remove_dir_all(&directory).map_err(trouble)?;
                Self::open_in(&directory, memory, &lock)
            }
        }
    }

    fn open_in(directory: &Path, memory: usize, lock: &File) -> Result<(Self, Option<Commit>), StoreError> {
        let trouble = |error| StoreError::Directory(directory.to_owned(), error);
        fs::create_dir_all(directory).map_err(trouble)?;
        let (schema, fields) = schema::schema();
        let files = MmapDirectory::open(directory).map_err(tantivy::TantivyError::from)?;
        let index = Index::builder().schema(schema).tokenizers(text::tokenizers()).open_or_create(files)?;
        let damaged = index.validate_checksum()?;
        if let Some(file) = damaged.iter().next() {
            let error = io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", file.display()));
            return Err(trouble(error));
        }
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let writer = index.writer_with_num_threads(THREADS, memory << 20)?;
        let commit = index.load_metas()?.payload.map(|payload| serde_json::from_str(&payload)).transpose()?;
        let lock = lock.try_clone().map_err(trouble)?;
        Ok((Self { fields, reader, writer, _lock: lock }, commit))
    }

    /// Adds products, and replaces the documents with the same ids.
    pub fn put<'a>(&mut self, products: impl IntoIterator<Item = &'a Product>) -> Result<(), StoreError> {
        for product in products {
            let document = Row::from(product).document(&self.fields)?;
            self.delete([product.id]);
            self.writer.add_document(document)?;
        }
        Ok(())
    }

    /// Removes products.
    pub fn delete(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.writer.delete_term(Term::from_field_i64(self.fields.id, id));
        }
    }

    /// Removes all products.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        self.writer.delete_all_documents()?;
        Ok(())
    }

    /// Makes all changes since the last commit durable, together with `commit`.
    pub fn commit(&mut self, commit: &Commit) -> Result<IndexSnapshot, StoreError> {
        let payload = serde_json::to_string(commit)?;
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        self.reader.reload()?;
        Ok(self.snapshot(commit))
    }

    /// Discards all changes since the last commit.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        self.writer.rollback()?;
        Ok(())
    }

    /// Returns the index as of the last commit, whose record is `commit`.
    pub fn snapshot(&self, commit: &Commit) -> IndexSnapshot {
        IndexSnapshot {
            searcher: self.reader.searcher(),
            fields: self.fields,
            categories: Arc::new(commit.categories.clone()),
            position: commit.position,
            epoch: commit.epoch,
            lineage: 0,
        }
    }
}

/// Removes indexes of other versions of this program. This version splits text into other words, so it cannot search
/// them.
fn remove_other_versions(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let version: Option<u32> = name.to_str().and_then(|name| name.strip_prefix('v')?.parse().ok());
        if version.is_some_and(|version| version != VERSION) && entry.file_type()?.is_dir() {
            warn!(path = %entry.path().display(), "the index was built by another version; it is removed and built again");
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Locks the directory. The lock ends with the process, even if the process is killed.
fn lock(path: &Path) -> Result<File, StoreError> {
    let trouble = |error| StoreError::Directory(path.to_owned(), error);
    let file = File::create(path.join("lock")).map_err(trouble)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(trouble(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_stores_the_documents_and_its_record() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut store, commit) = Store::open(directory.path(), 64).expect("an empty directory");
        assert_eq!(commit, None);
        store.rollback().expect("nothing to forget");
        let product: Product = serde_json::from_value(serde_json::json!({
            "id": 7, "name": "Lamp", "description": "It shines.", "price_cents": 5, "stock": 1, "featured": false,
            "category": { "id": 2, "name": "Light" }, "version": 3, "updated_at": "2026-11-22T10:00:00Z"
        }))
        .expect("a product");
        store.put([&product]).expect("it is taken");
        let record = Commit {
            position: 41,
            epoch: None,
            pending_invalidation: true,
            categories: [(2, "Light".to_owned())].into(),
        };
        let snapshot = store.commit(&record).expect("it is committed");
        assert_eq!((snapshot.len(), snapshot.position), (1, 41));
        store.delete([7]);
        drop(store);

        let (store, commit) = Store::open(directory.path(), 64).expect("an index");
        assert_eq!(commit.as_ref(), Some(&record));
        let snapshot = store.snapshot(&record);
        assert_eq!(snapshot.product(7).expect("it can be read"), Some(Row::from(&product)));
        assert_eq!(snapshot.product(8).expect("it can be read"), None);
        let fingerprint = Row::from(&product).fingerprint().expect("plain data");
        assert_eq!(snapshot.fingerprints().expect("it can be read"), [(7, fingerprint)].into());
    }
}
