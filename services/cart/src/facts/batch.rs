//! Loads that begin at the same time become one request.
//!
//! A cart of twenty products that are in no cache loads twenty entries, each under its own lease. The first of them
//! waits until the others have begun, however long that takes, and asks for all. It also waits a moment for the loads of other
//! carts. Nothing is asked before a load has begun, so what it brings is as young as the load.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Source;
use super::model::ProductInfo;
use crate::error::CartError;

/// How long the first one waits for loads of other carts.
const BATCH_DELAY: Duration = Duration::from_millis(1);

/// Who waits for which product.
type Waiting = HashMap<i64, Vec<oneshot::Sender<Result<ProductInfo, CartError>>>>;

/// Gathers loads. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct RequestBatcher {
    source: Source,
    waiting: Arc<Mutex<Waiting>>,
}

impl RequestBatcher {
    pub(super) fn new(source: Source) -> Self {
        Self { source, waiting: Arc::default() }
    }

    /// What can be said about a product, asked for together with whatever else is asked for just now, and with the other loads
    /// of its batch. It is registered when this returns.
    pub(super) fn product_info(
        &self,
        id: i64,
        together: Option<cache::Batch>,
    ) -> impl Future<Output = Result<ProductInfo, CartError>> + Send + use<> {
        let (sender, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let is_first = waiting.is_empty();
            waiting.entry(id).or_default().push(sender);
            is_first
        };
        if is_first {
            // A task of its own: when the first one is dropped, the others are still to be answered. It ends within the
            // time limits of what it asks.
            let batch = self.clone();
            tokio::spawn(async move { batch.ask(together).await });
        }
        // Dropped unanswered when the task has panicked.
        let lost = || Err(CartError::Internal("a load ended without an answer".to_owned()));
        async move { answer.await.unwrap_or_else(|_| lost()) }
    }

    async fn ask(&self, together: Option<cache::Batch>) {
        sleep(BATCH_DELAY).await;
        if let Some(together) = together {
            together.all_started().await;
        }
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let ids: Vec<i64> = waiting.keys().copied().collect();
        let words = self.source.product_infos(&ids).await;
        for (id, senders) in waiting {
            let word = words.as_ref().map(|words| words.get(&id).cloned().unwrap_or_else(ProductInfo::unknown));
            for sender in senders {
                // Who has gone needs no answer.
                let _ = sender.send(word.clone().map_err(Clone::clone));
            }
        }
    }
}
