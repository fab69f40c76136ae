//! The client of the product API, with a circuit breaker.
//!
//! Otherwise a product API that hangs would cost every reader the full timeout. While the circuit breaker is open, the
//! last known data are shown, marked as stale.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::product_api::{Product, ProductApi};
use outbox::RecurringFailure;
use tokio::time::{Instant, sleep};

/// How long the circuit breaker stays open.
const OPEN_FOR: Duration = Duration::from_millis(500);

/// The pause between two availability checks.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// A client that sends no requests while the product API is known to be unavailable.
#[derive(Clone, Debug)]
pub struct Upstream {
    api: ProductApi,
    /// The time until which the circuit breaker is open; `None` while the product API responds.
    open_until: Arc<Mutex<Option<Instant>>>,
    outage: Arc<RecurringFailure>,
}

/// The product API did not respond, or was not asked because it did not respond a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the product API does not answer")]
pub struct UpstreamDown;

impl Upstream {
    /// Creates a client that uses `api`.
    pub fn new(api: ProductApi) -> Self {
        let (failing, recovered) =
            ("the product API does not answer; carts show the last known products", "the product API answers again");
        let outage = Arc::new(RecurringFailure::new("product-api", failing, recovered));
        Self { api, open_until: Arc::default(), outage }
    }

    /// Returns the products with these ids, as far as they exist.
    ///
    /// # Errors
    /// Returns an error if the product API does not respond.
    pub async fn products(&self, ids: &[i64]) -> Result<Vec<Product>, UpstreamDown> {
        if !self.may_ask(Instant::now()) {
            return Err(UpstreamDown);
        }
        self.noted(self.api.products(ids).await)
    }

    /// Returns whether to send a request. When the open time ends, one caller sends a request. The other callers fail
    /// until its result is known.
    fn may_ask(&self, now: Instant) -> bool {
        match &mut *self.open_until.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(until) if now < *until => false,
            Some(until) => {
                *until = now + OPEN_FOR;
                true
            }
            None => true,
        }
    }

    /// Checks the product API repeatedly, so that [`is_away`](Self::is_away) is accurate without other requests. Never
    /// returns.
    pub async fn watch(&self) {
        loop {
            // `noted` has recorded the result.
            let _ = self.ping().await;
            sleep(PROBE_INTERVAL).await;
        }
    }

    /// Returns whether the last request failed.
    pub fn is_away(&self) -> bool {
        self.is_resting()
    }

    /// Checks whether the product API responds. Sends a request even while the circuit breaker is open.
    ///
    /// # Errors
    /// Returns an error if the product API does not respond.
    pub async fn ping(&self) -> Result<(), UpstreamDown> {
        // By the route of all other requests, which has its own share of the database.
        self.noted(self.api.products(&[i64::MAX]).await).map(drop)
    }

    fn noted<T, E: Display>(&self, answer: Result<T, E>) -> Result<T, UpstreamDown> {
        let open_until = answer.as_ref().err().map(|_| Instant::now() + OPEN_FOR);
        *self.open_until.lock().unwrap_or_else(PoisonError::into_inner) = open_until;
        match &answer {
            Err(error) => self.outage.failed(error),
            Ok(_) => _ = self.outage.recovered(),
        }
        answer.map_err(|_| UpstreamDown)
    }

    fn is_resting(&self) -> bool {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[cfg(test)]
mod tests {
    use contract::product_api::ProductApiSettings;

    use super::*;

    #[test]
    fn one_caller_probes_after_the_circuit_breaker_opened() {
        let settings = ProductApiSettings { url: "http://127.0.0.1:9".to_owned(), timeout: Duration::from_secs(1) };
        let client = settings.http_client().expect("a client");
        let upstream = Upstream::new(ProductApi::new(&settings.url, client));
        let now = Instant::now();
        assert!(upstream.may_ask(now) && upstream.may_ask(now), "nothing is known against it");
        assert!(upstream.noted::<(), _>(Err("no answer")).is_err());
        let now = Instant::now();
        assert!(!upstream.may_ask(now), "it rests");
        assert!(upstream.may_ask(now + OPEN_FOR));
        assert!(!upstream.may_ask(now + OPEN_FOR), "another one asks already");
        assert!(upstream.noted::<_, String>(Ok(())).is_ok());
        assert!(upstream.may_ask(now + OPEN_FOR) && upstream.may_ask(now + OPEN_FOR), "it answers again");
    }
}
