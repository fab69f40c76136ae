//! The way to the product API: one that did not answer is left alone for a moment.
//!
//! A product API that hangs would otherwise cost every reader its time limit. While it is left alone, the last known facts
//! are shown, flagged.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::product_api::{Product, ProductApi};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// How long it is left alone.
const OPEN_FOR: Duration = Duration::from_millis(500);

/// How often it is asked whether it is there.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// A client that knows when it is no use to ask.
#[derive(Clone, Debug)]
pub struct Upstream {
    api: ProductApi,
    /// Until when it is left alone; `None` while it answers.
    open_until: Arc<Mutex<Option<Instant>>>,
}

/// It did not answer, or was not asked because it did not answer a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the product API does not answer")]
pub struct UpstreamDown;

impl Upstream {
    /// On the way of `api`.
    pub fn new(api: ProductApi) -> Self {
        Self { api, open_until: Arc::default() }
    }

    /// The products of these ids, as far as they exist.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn products(&self, ids: &[i64]) -> Result<Vec<Product>, UpstreamDown> {
        if !self.may_ask(Instant::now()) {
            return Err(UpstreamDown);
        }
        self.noted(self.api.products(ids).await)
    }

    /// Whether it is to be asked. After a rest, one caller asks; the others are told that it is away until that caller knows more.
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

    /// Asks again and again, so that [`is_away`](Self::is_away) is right though nobody else asks. Never returns.
    pub async fn watch(&self) {
        loop {
            // What came of it is noted.
            let _ = self.ping().await;
            sleep(PROBE_INTERVAL).await;
        }
    }

    /// Whether it did not answer when it was asked last.
    pub fn is_away(&self) -> bool {
        self.is_resting()
    }

    /// Whether it answers. Asks even while it is left alone.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), UpstreamDown> {
        self.noted(self.api.product(i64::MAX).await).map(drop)
    }

    fn noted<T, E: Display>(&self, answer: Result<T, E>) -> Result<T, UpstreamDown> {
        let open_until = answer.as_ref().err().map(|_| Instant::now() + OPEN_FOR);
        let before =
            std::mem::replace(&mut *self.open_until.lock().unwrap_or_else(PoisonError::into_inner), open_until);
        match (&answer, before) {
            (Err(error), None) => warn!(%error, "the product API does not answer; carts show the last known products"),
            (Ok(_), Some(_)) => info!("the product API answers again"),
            _ => {}
        }
        answer.map_err(|_| UpstreamDown)
    }

    fn is_resting(&self) -> bool {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_asks_after_a_rest() {
        let api = ProductApi::new(&events::product_api::ProductApiSettings {
            url: "http://127.0.0.1:9".to_owned(),
            timeout: Duration::from_secs(1),
        });
        let upstream = Upstream::new(api.expect("a URL"));
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
