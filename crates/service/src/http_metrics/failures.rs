//! Requests that fail because a dependency does not respond: logged per route when the failures begin, counted while
//! they repeat, and logged again when they end. Otherwise a client could fill the log during an outage.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a route must have had no failure before its failures count as ended. During an outage, hits succeed while
/// misses fail.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);

/// The failing routes of all workers of a server. There are at most as many as the service has patterns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether any route fails, so that a successful request needs no lock while none does.
    any: AtomicBool,
    routes: Mutex<HashMap<String, FailureRun>>,
}

/// The failures of one route, from the first to the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailureRun {
    first: Instant,
    last: Instant,
    pub(super) failures: u64,
}

impl FailureRun {
    /// Returns the time from the first failure to the last.
    pub(super) fn lasted(&self) -> Duration {
        self.last.saturating_duration_since(self.first)
    }
}

impl Failures {
    /// Records a failed request of `route` at `now`. Returns whether it is the first failure, which is to be logged.
    pub(super) fn failed(&self, route: &str, now: Instant) -> bool {
        let mut routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lasting) = routes.get_mut(route) {
            (lasting.last, lasting.failures) = (now, lasting.failures + 1);
            return false;
        }
        routes.insert(route.to_owned(), FailureRun { first: now, last: now, failures: 1 });
        self.0.any.store(true, Ordering::Relaxed);
        true
    }

    /// Records a successful request of `route` at `now`. Returns the route's failures, if they end with this request.
    pub(super) fn succeeded(&self, route: &str, now: Instant) -> Option<FailureRun> {
        if !self.0.any.load(Ordering::Relaxed) {
            return None;
        }
        let mut routes = self.0.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet =
            routes.get(route).is_some_and(|lasting| now.saturating_duration_since(lasting.last) >= RECOVERED_AFTER);
        let over = if quiet { routes.remove(route) } else { None };
        self.0.any.store(!routes.is_empty(), Ordering::Relaxed);
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn failures_of_a_route_are_logged_at_their_begin_and_their_end() {
        let (failures, begin) = (Failures::default(), Instant::now());
        assert!(failures.succeeded("/carts", begin).is_none(), "nothing has failed");
        assert!(failures.failed("/carts", begin));
        for second in 1..100 {
            assert!(!failures.failed("/carts", begin + second * S), "they still last");
            assert!(failures.succeeded("/carts", begin + second * S).is_none(), "a hit");
        }
        assert!(failures.failed("/search", begin), "another route");
        let over = failures.succeeded("/carts", begin + 109 * S).expect("they are over");
        assert_eq!((over.failures, over.lasted()), (100, 99 * S));
        assert!(failures.succeeded("/carts", begin + 110 * S).is_none(), "logged once");
        assert!(failures.failed("/carts", begin + 111 * S), "the next outage");
    }
}
