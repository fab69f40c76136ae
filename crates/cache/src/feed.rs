//! What happens to entries, told to whoever watches just now: for a live page, or for an eye on a demo.
//!
//! Nobody watches: a read pays one relaxed load of a flag. Somebody does: what happens is kept on a reel of bounded
//! length, and each listener reads on from where it stands, so one that is slow, or gone, slows nobody. It finds a
//! [`Happening::Lagged`] where it has lost some. The reel runs on for a minute after the last listener has left, so that a
//! connection that broke is resumed; when it stops it gets another name, and an id from before means nothing to it.

mod listener;
mod record;

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::Cache;
use crate::cache::Inner;

pub use listener::Listener;
pub use record::{EntryRecord, EventRecord, Happening, HappeningKind, InvalidationRecord, Record};

/// Records on the reel.
const LENGTH: usize = 4096;
/// Listeners at once.
const LISTENERS: usize = 64;
/// How long the reel runs on after the last listener has left.
const LINGER: Duration = Duration::from_secs(60);

/// The feed of a cache; see [`Cache::feed`].
#[derive(Clone, Debug)]
pub struct Feed(Cache);

/// As many listen as may.
#[derive(Debug, thiserror::Error)]
#[error("{LISTENERS} listeners are there already")]
pub struct FeedCrowded;

/// Where records are kept while somebody watches.
#[derive(Debug)]
pub(crate) struct Tape {
    watched: AtomicBool,
    reel: Mutex<Reel>,
    added: Notify,
}

#[derive(Debug)]
struct Reel {
    /// Tells ids of this process, and of this stretch of watching, from all others.
    name: String,
    /// The latest ones; the last has the id `next - 1`.
    records: VecDeque<Arc<Record>>,
    next: u64,
    listeners: usize,
    left: Instant,
}

impl Cache {
    /// What happens to entries, as it happens.
    pub fn feed(&self) -> Feed {
        Feed(self.clone())
    }
}

impl Feed {
    /// Reports an event that this process has heard: `event("product.updated", Some(17), "product:1")`.
    ///
    /// Costs nothing while nobody watches; `about` is not even formatted.
    pub fn event(&self, name: &str, seq: Option<u64>, about: impl Display) {
        self.0.inner.tell(|| Happening::Event(EventRecord { name: name.to_owned(), seq, about: about.to_string() }));
    }

    /// Listens from now on, or from `last_id` on where this reel still knows it.
    ///
    /// # Errors
    /// When too many do.
    pub fn listen(&self, last_id: Option<&str>) -> Result<Listener, FeedCrowded> {
        Listener::new(&self.0.inner, last_id)
    }
}

impl Inner {
    /// Tells what happens, if anybody watches. On the path of every read.
    #[inline]
    pub(crate) fn tell(&self, what: impl FnOnce() -> Happening) {
        if self.tape.watched.load(Relaxed) {
            self.tape.add(self.store.connection.clock.now_ms(), what());
        }
    }
}

impl Tape {
    pub(crate) fn new() -> Self {
        let reel = Reel { name: fresh(), records: VecDeque::new(), next: 1, listeners: 0, left: Instant::now() };
        Self { watched: AtomicBool::new(false), reel: Mutex::new(reel), added: Notify::new() }
    }

    #[cold]
    fn add(&self, at_ms: u64, what: Happening) {
        let mut reel = self.reel();
        if reel.listeners == 0 && reel.left.elapsed() > LINGER {
            // From here on, records are missing: nobody may resume across that.
            (reel.name, reel.next, reel.records) = (fresh(), 1, VecDeque::new());
            self.watched.store(false, Relaxed);
            return;
        }
        if reel.records.len() == LENGTH {
            reel.records.pop_front();
        }
        let id = reel.next;
        reel.records.push_back(Arc::new(Record { id, at_ms, what }));
        reel.next += 1;
        drop(reel);
        self.added.notify_waiters();
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reel {
    /// The id of the oldest record that is left.
    fn first(&self) -> u64 {
        self.next - self.records.len() as u64
    }
}

fn fresh() -> String {
    format!("{:012x}", rand::random::<u64>() >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Happening {
        Happening::Event(EventRecord { name: "changed".to_owned(), seq: None, about: String::new() })
    }

    #[test]
    fn the_reel_runs_on_after_the_last_listener_for_a_while_and_then_stops_under_another_name() {
        let tape = Tape::new();
        tape.watched.store(true, Relaxed);
        tape.add(0, event());
        let name = tape.reel().name.clone();
        assert_eq!(tape.reel().records.len(), 1, "somebody may come back");

        let long_ago = Instant::now().checked_sub(2 * LINGER).expect("the machine has been up for longer");
        tape.reel().left = long_ago;
        tape.add(0, event());
        assert!(!tape.watched.load(Relaxed));
        let reel = tape.reel();
        assert!(
            reel.records.is_empty() && reel.name != name,
            "an id from before must not be taken for one that nothing followed"
        );
    }
}
