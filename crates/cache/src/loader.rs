//! Loaders: the functions that read a value from the database.
//!
//! A load runs in a task of its own, which may outlive the reader that started it. So a loader owns what it uses:
//!
//! * a closure that captures it, `|| db.post(42)`, where `db` can be copied or lives forever;
//! * [`with`], which borrows a context and clones it only if there is something to load, so that a hit clones nothing.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use crate::batch::Batch;
use crate::error::LoadError;
pub use crate::new_entry::Digest;
use crate::new_entry::{Content, NewEntry};

/// A function that reads a value of type `T` from the database.
///
/// It is a closure without arguments, or the result of [`with`]. Its future returns a `T`, an `Option<T>` (`None` is
/// stored as well), or a [`NewEntry`], which can name tags. It may be called several times for one read.
pub trait Loader<T> {
    #[doc(hidden)]
    fn share(self) -> SharedLoader;
}

/// A loader in the form that background tasks keep.
#[doc(hidden)]
#[derive(Clone)]
pub struct SharedLoader(Arc<dyn Fn() -> Loading + Send + Sync>);

pub(crate) type Loading = Pin<Box<dyn Future<Output = Result<Content, LoadError>> + Send>>;

/// The result of [`with`].
#[derive(Clone, Copy, Debug)]
pub struct With<'c, C, A, F> {
    context: &'c C,
    argument: A,
    load: F,
}

/// An async function of two arguments, whose future may move between threads.
pub trait AsyncLoad<C, A, R>: AsyncFn(C, A) -> R + Fn(C, A) -> <Self as AsyncLoad<C, A, R>>::Future {
    /// The future that a call returns.
    type Future: Future<Output = R>;
}

impl<F, C, A, R, Fut> AsyncLoad<C, A, R> for F
where
    F: AsyncFn(C, A) -> R + Fn(C, A) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}

/// Returns a loader that calls `load` with a borrowed context and an argument: `with(&db, 42, Db::post)`.
///
/// `load` is an async function, or an async closure that captures nothing. The context is a handle such as a pool. It is
/// cloned once for each read that has something to load, and not on a hit.
pub fn with<C, A, F, R, E>(context: &C, argument: A, load: F) -> With<'_, C, A, F>
where
    F: for<'a> AsyncFn(&'a C, A) -> Result<R, E>,
{
    With { context, argument, load }
}

impl<T, F, Fut, R, E> Loader<T> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Into<NewEntry<T>>,
    E: Error + Send + Sync + 'static,
{
    fn share(self) -> SharedLoader {
        SharedLoader(Arc::new(move || {
            // Before the future is polled: the loader of a batch registers what it needs.
            let loading = self();
            Box::pin(async move { content(loading.await) })
        }))
    }
}

impl<T, C, A, F, R, E> Loader<T> for With<'_, C, A, F>
where
    C: Clone + Send + Sync + 'static,
    A: Clone + Send + Sync + 'static,
    F: for<'a> AsyncFn(&'a C, A) -> Result<R, E>
        + for<'a> AsyncLoad<&'a C, A, Result<R, E>, Future: Send>
        + Send
        + Sync
        + 'static,
    R: Into<NewEntry<T>>,
    E: Error + Send + Sync + 'static,
{
    fn share(self) -> SharedLoader {
        let shared = Arc::new((self.context.clone(), self.argument, self.load));
        SharedLoader(Arc::new(move || {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (context, argument, load) = &*shared;
                content(load(context, argument.clone()).await)
            })
        }))
    }
}

fn content<T, R: Into<NewEntry<T>>, E>(loaded: Result<R, E>) -> Result<Content, LoadError>
where
    E: Error + Send + Sync + 'static,
{
    let loaded = loaded.map_err(|error| LoadError::Loader(Arc::new(error)))?;
    loaded.into().into_content().map_err(|error| LoadError::Encode(Arc::new(error)))
}

impl SharedLoader {
    pub(crate) fn call(&self) -> Loading {
        (self.0)()
    }
}

impl fmt::Debug for SharedLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedLoader")
    }
}
