//! A database of one row, and loads of it that begin and end when the test says so.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use cache::{NewEntry, Tag};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::SOON;

/// A loader as `fetch` takes it, behind a pointer.
pub(crate) type Loader =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<NewEntry, DatabaseError>> + Send>> + Send + Sync>;

/// What a load fails with.
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
    /// A row at version 1 whose entries carry `tags`.
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

    /// Tags of the entries that are loaded from now on.
    pub(crate) fn set_tags(&self, tags: impl IntoIterator<Item = Tag>) {
        *self.0.tags.lock().unwrap() = tags.into_iter().collect();
    }

    /// How many loads have begun.
    pub(crate) fn loads(&self) -> usize {
        self.0.loads.load(SeqCst)
    }

    /// What a load finds now. Version 0 means that there is no row.
    pub(crate) fn read(&self) -> NewEntry {
        let tags = self.0.tags.lock().unwrap().clone();
        match self.version() {
            0 => NewEntry::absent().tags(tags),
            version => NewEntry::value(format!("v{version}")).version(version).tags(tags),
        }
    }

    /// Loads that end at once.
    pub(crate) fn loader(&self) -> Loader {
        let row = self.clone();
        Arc::new(move || {
            row.0.loads.fetch_add(1, SeqCst);
            let loaded = row.read();
            Box::pin(async { Ok(loaded) })
        })
    }

    /// Loads that read the row when they begin, and end when the test says so.
    pub(crate) fn gated(&self) -> (Gate, Loader) {
        let (sender, began) = mpsc::unbounded_channel();
        let row = self.clone();
        let loader: Loader = Arc::new(move || {
            row.0.loads.fetch_add(1, SeqCst);
            let loaded = row.read();
            let (end, told) = oneshot::channel();
            // A test that is over does not look any more.
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

/// Where gated loads show up.
#[derive(Debug)]
pub(crate) struct Gate {
    began: mpsc::UnboundedReceiver<Load>,
}

/// A load that has read the row and not returned. Dropped, it hangs for ever.
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

    /// Whether no further load has begun.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.began.try_recv().is_err()
    }
}

impl Load {
    /// It returns what it has read.
    pub(crate) fn finish(self) {
        self.0.send(End::Found).unwrap();
    }

    /// No test waits for its result any more.
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
