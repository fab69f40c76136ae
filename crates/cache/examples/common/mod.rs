//! The "database" of the examples: a table of posts in memory, which takes a moment to answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) id: u32,
    pub(crate) author: u32,
    pub(crate) title: String,
    pub(crate) version: u64,
}

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Database(Arc<Mutex<BTreeMap<u32, Post>>>);

/// The reason why a statement failed; here, it never does.
#[derive(Debug)]
pub(crate) struct DatabaseError;

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database does not answer")
    }
}

impl std::error::Error for DatabaseError {}

#[allow(dead_code, reason = "each example uses some of these")]
impl Database {
    pub(crate) fn with_posts(count: u32) -> Self {
        let post = |id| Post { id, author: id % 3, title: format!("Post {id}"), version: 1 };
        Self(Arc::new(Mutex::new((1..=count).map(|id| (id, post(id))).collect())))
    }

    pub(crate) async fn post(&self, id: u32) -> Result<Option<Post>, DatabaseError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned())
    }

    /// `SELECT … WHERE id = ANY($1)`.
    pub(crate) async fn posts(&self, ids: &[u32]) -> Result<HashMap<u32, Post>, DatabaseError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ids.iter().filter_map(|id| Some((*id, rows.get(id)?.clone()))).collect())
    }

    /// `UPDATE … RETURNING *`; the change is committed when this returns.
    pub(crate) async fn rename(&self, id: u32, title: &str) -> Result<Option<Post>, DatabaseError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.get_mut(&id).map(|post| {
            (post.title, post.version) = (title.to_owned(), post.version + 1);
            post.clone()
        }))
    }
}

/// The Redis of the examples: `REDIS_URL`, or one on this machine.
#[expect(clippy::disallowed_methods, reason = "an example has no settings")]
#[allow(dead_code, reason = "each example uses some of these")]
pub(crate) fn redis_url() -> String {
    std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379/0".to_owned())
}
