//! The time by which entries in memory age.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant, SystemTime};

/// A clock. Clones of it show the same time.
///
/// The time limits of loads, waits and commands do not use this clock: they are always in real time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
struct Source {
    /// The time at which the clock was made, in milliseconds since 1970.
    origin_ms: u64,
    /// `None` for a clock that moves only when it is advanced.
    started: Option<Instant>,
    /// By how many milliseconds it was advanced.
    advanced_ms: AtomicU64,
}

impl Clock {
    /// Creates a clock that starts at the system time and then advances steadily, even if the system time is changed.
    pub fn system() -> Self {
        Self::new(Some(Instant::now()))
    }

    /// Creates a clock that stands still until it is [advanced](Self::advance), for tests of TTLs.
    pub fn manual() -> Self {
        Self::new(None)
    }

    fn new(started: Option<Instant>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "entries in one memory are compared by no other clock")]
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let origin_ms = since_1970.as_millis() as u64;
        Self(Arc::new(Source { origin_ms, started, advanced_ms: AtomicU64::new(0) }))
    }

    /// Moves the time forward, by whole milliseconds.
    pub fn advance(&self, time: Duration) {
        self.0.advanced_ms.fetch_add(time.as_millis() as u64, SeqCst);
    }

    /// Returns the time in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let elapsed = self.0.started.map_or(0, |started| started.elapsed().as_millis() as u64);
        self.0.origin_ms + elapsed + self.0.advanced_ms.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_it_is_advanced() {
        let clock = Clock::manual();
        let (before, same) = (clock.now_ms(), clock.clone());
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(3) {
            assert_eq!(clock.now_ms(), before);
        }
        same.advance(Duration::from_secs(2));
        assert_eq!(clock.now_ms(), before + 2_000);
    }

    #[test]
    fn clock_of_the_system_moves_by_itself() {
        let clock = Clock::system();
        let before = clock.now_ms();
        while clock.now_ms() == before {
            std::thread::yield_now();
        }
        assert!(clock.now_ms() > before);
    }
}
