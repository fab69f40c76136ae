//! A database of one row, and loads of it that begin and end when the test says so.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use cache::{NewEntry, Tag};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::SOON;

/// A loader for `get_or_load`, behind a pointer.
pub(crate) type Loader =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<NewEntry<String>, DatabaseError>> + Send>> + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DatabaseError;

impl std::error::Error for DatabaseError {}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database is on fire")
    }
}

/// A row with a version. Cheap to clone: every clone is the same row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row(Arc<Content>);

#[derive(Debug, Default)]
struct Content {
    version: AtomicU64,
    loads: AtomicUsize,
    tags: Mutex<Vec<Tag>>,
}

impl Row {
    /// Creates a row at version 1 whose entries carry `tags`.
    pub(crate) fn new(tags: impl IntoIterator<Item = Tag>) -> Self {
        let row = Self::default();
        row.0.version.store(1, SeqCst);
        row.set_tags(tags);
        row
    }

    /// Commits a change and returns the new version.
    pub(crate) fn commit(&self) -> u64 {
        self.0.version.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn version(&self) -> u64 {
        self.0.version.load(SeqCst)
    }

    /// Sets the tags of the entries that are loaded from now on.
    pub(crate) fn set_tags(&self, tags: impl IntoIterator<Item = Tag>) {
        *self.0.tags.lock().unwrap() = tags.into_iter().collect();
    }

    pub(crate) fn loads(&self) -> usize {
        self.0.loads.load(SeqCst)
    }

    /// Returns what a load finds now. Version 0 means that there is no row.
    pub(crate) fn read(&self) -> NewEntry<String> {
        let tags = self.0.tags.lock().unwrap().clone();
        match self.version() {
            0 => NewEntry::absent().tags(tags),
            version => NewEntry::raw(format!("v{version}")).version(version).tags(tags),
        }
    }

    /// Returns loads that end at once.
    pub(crate) fn loader(&self) -> Loader {
        let row = self.clone();
        Arc::new(move || {
            row.0.loads.fetch_add(1, SeqCst);
            let loaded = row.read();
            Box::pin(async { Ok(loaded) })
        })
    }

    /// Returns loads that read the row when they begin, and end when the test says so.
    pub(crate) fn gated(&self) -> (Gate, Loader) {
        let (sender, began) = mpsc::unbounded_channel();
        let row = self.clone();
        let loader: Loader = Arc::new(move || {
            row.0.loads.fetch_add(1, SeqCst);
            let loaded = row.read();
            let (end, told) = oneshot::channel();
            // A test that is over no longer receives.
            let _ = sender.send(Load(end));
            Box::pin(async move {
                match told.await {
                    Ok(End::Found) => Ok(loaded),
                    Ok(End::Failed) => Err(DatabaseError),
                    Ok(End::Panicked) => panic!("a loader panics, as this test wants"),
                    Err(_) => std::future::pending().await,
                }
            })
        });
        (Gate { began }, loader)
    }
}

#[derive(Debug)]
pub(crate) struct Gate {
    began: mpsc::UnboundedReceiver<Load>,
}

/// A load that has read the row and not returned. If it is dropped, the load hangs forever.
#[derive(Debug)]
pub(crate) struct Load(oneshot::Sender<End>);

#[derive(Debug)]
enum End {
    Found,
    Failed,
    Panicked,
}

impl Gate {
    /// Waits until a load has read the row.
    pub(crate) async fn began(&mut self) -> Load {
        timeout(SOON, self.began.recv()).await.expect("no load begins").unwrap()
    }

    /// Returns whether no further load has begun.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.began.try_recv().is_err()
    }
}

impl Load {
    /// Makes the load return what it has read.
    pub(crate) fn finish(self) {
        self.0.send(End::Found).unwrap();
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.0.is_closed()
    }

    pub(crate) fn fail(self) {
        self.0.send(End::Failed).unwrap();
    }

    pub(crate) fn panic(self) {
        self.0.send(End::Panicked).unwrap();
    }
}
