//! Loaders: the functions that read a value from the database, and return it with its version, its tags and its
//! lifetime.
//!
//! A load runs in a task of its own, which may outlive the reader that started it. So a loader owns what it uses. A
//! loader is one of these:
//!
//! * a closure that captures what it uses, `|| db.post(42)`, where `db` can be copied or lives forever;
//! * [`with`], which borrows a context and clones it only if there is something to load, so that a hit clones nothing.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

pub use crate::batch::Batch;
use crate::codec::{CodecError, Encode, Json};
use crate::error::LoadError;
use crate::keyspace::Tag;

/// A function that reads a value of type `T` from the database.
///
/// It is a closure without arguments, or the result of [`with`]. Its future returns a `T`, an `Option<T>` (`None` is
/// stored as well), or a [`NewEntry`], which can name tags. It may be called several times for one read. Its error implements
/// [`Error`], which `anyhow::Error` does not: map that one to an error type of your own.
#[diagnostic::on_unimplemented(
    message = "this is no loader of `{T}`",
    note = "a loader is `with(&context, id, load)` or a closure without arguments; the error of its future implements `std::error::Error`"
)]
pub trait Loader<T, C = Json> {
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

impl<T, C, F, Fut, R, E> Loader<T, C> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Into<NewEntry<T, C>>,
    E: Error + Send + Sync + 'static,
{
    fn share(self) -> SharedLoader {
        SharedLoader(Arc::new(move || {
            // Called before the future is polled, because the loader of a batch registers what it needs in this call.
            let loading = self();
            Box::pin(async move { content::<T, C, _, _>(loading.await) })
        }))
    }
}

impl<T, C, X, A, F, R, E> Loader<T, C> for With<'_, X, A, F>
where
    X: Clone + Send + Sync + 'static,
    A: Clone + Send + Sync + 'static,
    F: for<'a> AsyncFn(&'a X, A) -> Result<R, E>
        + for<'a> AsyncLoad<&'a X, A, Result<R, E>, Future: Send>
        + Send
        + Sync
        + 'static,
    R: Into<NewEntry<T, C>>,
    E: Error + Send + Sync + 'static,
{
    fn share(self) -> SharedLoader {
        let shared = Arc::new((self.context.clone(), self.argument, self.load));
        SharedLoader(Arc::new(move || {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (context, argument, load) = &*shared;
                content::<T, C, _, _>(load(context, argument.clone()).await)
            })
        }))
    }
}

fn content<T, C, R: Into<NewEntry<T, C>>, E>(loaded: Result<R, E>) -> Result<Content, LoadError>
where
    E: Error + Send + Sync + 'static,
{
    let loaded = loaded.map_err(|error| LoadError::Loader(Arc::new(error)))?;
    loaded.into().into_content().map_err(LoadError::Encode)
}

impl SharedLoader {
    pub(crate) fn new(load: impl Fn() -> Loading + Send + Sync + 'static) -> Self {
        Self(Arc::new(load))
    }

    pub(crate) fn call(&self) -> Loading {
        (self.0)()
    }
}

/// A loader that is converted to its shared form only when there is something to load.
pub(crate) struct LazyLoader<T, C, L> {
    plain: Option<L>,
    shared: Option<SharedLoader>,
    value: PhantomData<fn() -> (T, C)>,
}

impl<T, C, L: Loader<T, C>> LazyLoader<T, C, L> {
    pub(crate) fn new(load: L) -> Self {
        Self { plain: Some(load), shared: None, value: PhantomData }
    }

    pub(crate) fn shared(&mut self) -> SharedLoader {
        if let Some(load) = self.plain.take() {
            self.shared = Some(load.share());
        }
        self.shared.clone().expect("a loader is plain or shared")
    }
}

impl fmt::Debug for SharedLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedLoader")
    }
}

/// The result of a load. Its tags may depend on the loaded value.
///
/// A loader that sets no version, tags, TTL or stamp returns a `T` or an `Option<T>` instead.
#[derive(Debug)]
#[must_use = "an entry is stored only if the loader returns it"]
pub struct NewEntry<T, C = Json> {
    content: Content,
    /// The reason why the value cannot be encoded.
    unencodable: Option<CodecError>,
    value: PhantomData<fn() -> (T, C)>,
}

/// A new entry without the type of its value.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) body: Option<Bytes>,
    pub(crate) digest: Option<Digest>,
    pub(crate) version: Option<u64>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) longest_ttl: Option<Duration>,
    pub(crate) stamp: Option<Box<str>>,
    pub(crate) store: bool,
    /// Whether the body is compressed, as it is stored.
    pub(crate) is_compressed: bool,
}

/// The first 128 bits of SHA-256, written as 32 hex digits: it identifies a representation.
///
/// It is computed once per load and stored in the entry's header, so a hit does not compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl<T, C> NewEntry<T, C> {
    /// Creates an entry whose value is stored as the codec of the cache encodes it, which is JSON by default.
    ///
    /// If the value cannot be encoded, such as a map whose keys are not strings in JSON, the load fails.
    pub fn value(value: &T) -> Self
    where
        C: Encode<T>,
    {
        match C::encode(value) {
            Ok(body) => Self::raw(body),
            Err(error) => Self { unencodable: Some(error), ..Self::absent() },
        }
    }

    /// Creates an entry from the stored form of its value: the bytes are stored and served as they are.
    pub fn raw(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut entry = Self::absent();
        entry.content.digest = Some(Digest::of(&body));
        entry.content.body = Some(body);
        entry
    }

    /// Creates a negative entry: the requested object does not exist.
    ///
    /// It lives for the policy's negative TTL. Give it the tag that is invalidated when the object is created, or
    /// invalidate its key at that time.
    pub fn absent() -> Self {
        Self { content: Content::absent(), unencodable: None, value: PhantomData }
    }

    /// Sets the version of the row, for a value that is one row.
    pub fn version(mut self, version: u64) -> Self {
        self.content.version = Some(version);
        self
    }

    /// Adds a tag; invalidating the tag removes this entry.
    pub fn tag(mut self, tag: Tag) -> Self {
        self.content.tags.push(tag);
        self
    }

    /// Adds several tags.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.content.tags.extend(tags);
        self
    }

    /// Limits the TTLs of this entry, for a value whose source states how long it is valid.
    ///
    /// It only shortens: the TTLs of the policy stay upper bounds.
    pub fn ttl_at_most(mut self, ttl: Duration) -> Self {
        self.content.longest_ttl = Some(ttl);
        self
    }

    /// Sets a text that describes which state of the source this value shows, such as the snapshot of the statement
    /// that read the value. With [`Cache::requiring`](crate::Cache::requiring), a reader accepts only certain stamps.
    ///
    /// The text is stored with every entry, so it should be short. Spaces and control characters in it become `_`.
    pub fn stamp(mut self, stamp: &str) -> Self {
        let plain = |c: char| if c.is_whitespace() || c.is_control() { '_' } else { c };
        self.content.stamp = Some(stamp.chars().map(plain).collect());
        self
    }

    /// Returns the value to the readers that wait for this load, without storing it.
    ///
    /// The next read loads again. Use it for a value that is good enough to show once, such as one from a fallback. An
    /// entry that was being refreshed stays unchanged.
    pub fn do_not_store(mut self) -> Self {
        self.content.store = false;
        self
    }

    /// Returns the entry without the type of its value.
    ///
    /// # Errors
    /// Returns an error when the value could not be encoded.
    pub(crate) fn into_content(self) -> Result<Content, CodecError> {
        self.unencodable.map_or(Ok(self.content), Err)
    }
}

impl<T, C: Encode<T>> From<T> for NewEntry<T, C> {
    fn from(value: T) -> Self {
        Self::value(&value)
    }
}

impl<T, C: Encode<T>> From<Option<T>> for NewEntry<T, C> {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::absent, Self::from)
    }
}

impl Content {
    /// Returns the content of a negative entry.
    pub(crate) fn absent() -> Self {
        let (body, digest, version, longest_ttl, stamp) = (None, None, None, None, None);
        Self { body, digest, version, tags: Vec::new(), longest_ttl, stamp, store: true, is_compressed: false }
    }

    /// Returns the header after `at=…` (see `entry.rs`); the script fills in `at`, because only Redis knows its time.
    pub(crate) fn header(&self, soft: u64, hard: u64, schema: u32) -> String {
        let mut header = format!("soft={soft} hard={hard} ver=");
        match self.version {
            Some(version) => write!(header, "{version}"),
            None => write!(header, "-"),
        }
        .and_then(|()| match self.digest {
            Some(digest) => write!(header, " sum={digest}"),
            None => write!(header, " sum=-"),
        })
        .expect("writing to a String cannot fail");
        header.push_str(if self.body.is_none() { " absent=1 tags=" } else { " absent=0 tags=" });
        for (i, tag) in self.tags.iter().map(Tag::as_str).enumerate() {
            if i > 0 {
                header.push(',');
            }
            header.push_str(tag);
        }
        if schema > 0 {
            write!(header, " schema={schema}").expect("writing to a String cannot fail");
        }
        if self.is_compressed {
            header.push_str(" zip=lz4");
        }
        if let Some(stamp) = &self.stamp {
            header.push_str(" stamp=");
            header.push_str(stamp);
        }
        header
    }
}

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(hash.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests;
