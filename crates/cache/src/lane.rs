//! A lane: entries of one kind, under one policy. Reading through the cache happens here.
//!
//! A hit is one `GET`, and nothing in this file is touched by it but [`Lane::look`]. What happens on a miss stands in
//! `miss.rs`, on a stale hit in `refresh.rs`.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::batch::Member;
use crate::cache::Inner;
use crate::entry::{Entry, Held};
use crate::meter::Meter;
use crate::{Bypass, EntryRecord, FetchError, Fetched, Happening, Key, LoadError, Loaded, Outcome, Policy};

/// Entries of one kind in a keyspace: `product:ttl:*`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lane {
    pub(crate) inner: Arc<Inner>,
    pub(crate) kind: Arc<Kind>,
    /// Which fetch of a batch this is, if it is one.
    pub(crate) member: Option<Arc<Member>>,
}

#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: Arc<str>,
    pub(crate) policy: Policy,
    pub(crate) meter: Meter,
}

/// A loader as the background tasks keep it.
pub(crate) type Loader = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Loaded, LoadError>> + Send>> + Send + Sync>;

/// What a look into Redis found.
pub(crate) enum Look {
    Fresh(Fetched),
    Stale(Fetched, Entry),
    Nothing,
    Past(Bypass),
}

impl Lane {
    /// The key of entry `id` of this lane.
    pub fn key(&self, id: impl Display) -> Key {
        self.inner.keyspace.key(&self.kind.name, id)
    }

    /// The policy that the lane was made with.
    pub fn policy(&self) -> &Policy {
        &self.kind.policy
    }

    /// Answers from the cache, or loads, stores and answers.
    ///
    /// A value that was invalidated before this call began is never returned. `load` must read the primary, outside
    /// of any transaction that began earlier. It runs in a task of its own, once at a time for a key however many readers of
    /// this process wait; it is not stopped when this future is dropped, and given up (its task is aborted) after the policy's load timeout, so it must not block its thread. Past the soft TTL the stale value is returned at once and `load` runs
    /// behind.
    ///
    /// `load` must not fetch the same key: that would wait for itself. Fetching another key from within takes a second
    /// place among [`CacheSettings::max_loads`](crate::CacheSettings::max_loads) while the first is held; if all places are
    /// held by loads that wait for one more, none goes on. Let no more than half of them do so at once.
    ///
    /// # Errors
    /// When `load` fails, panics or takes longer than the policy's load timeout, or had to queue for longer than the settings
    /// allow. A Redis that is down is no error.
    pub async fn fetch<F, Fut, E>(&self, key: &Key, load: F) -> Result<Fetched, FetchError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Loaded, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let fetched = match self.look(key).await {
            Look::Fresh(fetched) => {
                self.inner.tell(|| Happening::Hit(self.seen(key, &fetched)));
                fetched
            }
            Look::Stale(fetched, entry) => {
                self.inner.tell(|| Happening::Stale(self.seen(key, &fetched)));
                self.refresh_behind(key, &entry, loader(load));
                fetched
            }
            Look::Nothing => {
                self.inner.tell(|| Happening::Miss(self.record(key, None)));
                self.miss(key, loader(load), None).await?
            }
            Look::Past(why) => self.miss(key, loader(load), Some(why)).await?,
        };
        if let Outcome::Bypass(why) = fetched.outcome {
            self.inner.tell(|| Happening::Bypass(self.record(key, Some(why.word()))));
        }
        self.kind.meter.read(fetched.outcome);
        Ok(fetched)
    }

    /// Loads, and neither looks into the cache nor stores: for a caller that knows of a reason not to trust what lies there,
    /// such as invalidations that it cannot receive. `why` is a token, such as `events-unverified`.
    ///
    /// Loads for one key are shared, and bounded, as in [`fetch`](Self::fetch).
    ///
    /// # Errors
    /// When `load` fails, or had to queue for longer than the settings allow.
    pub async fn fetch_past<F, Fut, E>(&self, key: &Key, why: &'static str, load: F) -> Result<Fetched, FetchError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Loaded, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let fetched = self.miss(key, loader(load), Some(Bypass::Requested(why))).await?;
        self.inner.tell(|| Happening::Bypass(self.record(key, Some(why))));
        self.kind.meter.read(fetched.outcome);
        Ok(fetched)
    }

    /// What the feed says of an entry.
    pub(crate) fn record(&self, key: &Key, detail: Option<&'static str>) -> EntryRecord {
        let lane = Arc::clone(&self.kind.name);
        EntryRecord { lane, key: key.clone(), version: None, ttl_ms: None, tags: Vec::new(), detail }
    }

    fn seen(&self, key: &Key, fetched: &Fetched) -> EntryRecord {
        EntryRecord { version: fetched.version, ttl_ms: Some(fetched.ttl_ms), ..self.record(key, None) }
    }

    /// Looks without loading or refreshing; `None` when there is nothing usable, Redis included.
    pub async fn peek(&self, key: &Key) -> Option<Fetched> {
        match self.look(key).await {
            Look::Fresh(fetched) | Look::Stale(fetched, _) => Some(fetched),
            Look::Nothing | Look::Past(_) => None,
        }
    }

    pub(crate) async fn look(&self, key: &Key) -> Look {
        let mark = self.inner.repairs.mark();
        let entry = match self.inner.store.get(key).await {
            Ok(Some(Held::Value(entry))) => entry,
            Ok(Some(Held::Lease | Held::Unreadable) | None) => return Look::Nothing,
            Err(_) => return Look::Past(Bypass::RedisDown),
        };
        if self.inner.repairs.cover(mark, key, &entry) {
            return Look::Past(Bypass::RepairPending);
        }
        let now = self.inner.store.connection.clock.now_ms();
        if entry.is_fresh(now) {
            return Look::Fresh(Fetched::from_entry(&entry, now, Outcome::Hit));
        }
        // Redis removes an entry at its hard TTL by the same clock; this holds even where it is late.
        if entry.age(now) >= entry.hard {
            return Look::Nothing;
        }
        Look::Stale(Fetched::from_entry(&entry, now, Outcome::Stale), entry)
    }
}

fn loader<F, Fut, E>(load: F) -> Loader
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Loaded, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    Arc::new(move || {
        let loading = load();
        Box::pin(async move { loading.await.map_err(|error| Arc::new(error) as LoadError) })
    })
}
