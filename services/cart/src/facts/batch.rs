//! Combines loads that begin at the same time into one request.
//!
//! A cart of twenty products that are in no cache loads twenty entries, each under its own lease. The first load waits
//! until the others have begun, however long that takes, and requests all products. It also waits a moment for the
//! loads of other carts. No product is requested before its load has begun, so the result is as recent as the load.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Source;
use super::model::ProductInfo;
use crate::error::CartError;

/// How long the first load waits for the loads of other carts.
const BATCH_DELAY: Duration = Duration::from_millis(1);

/// The waiting loads of each product.
type Waiting = HashMap<i64, Vec<oneshot::Sender<Result<ProductInfo, CartError>>>>;

/// The queue of loads that wait for the next request. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct RequestBatcher {
    source: Source,
    waiting: Arc<Mutex<Waiting>>,
}

impl RequestBatcher {
    pub(super) fn new(source: Source) -> Self {
        Self { source, waiting: Arc::default() }
    }

    /// Returns the data of a product. The request includes all products that wait at that time, and the other loads of
    /// the batch `together`. The product is registered when this function returns.
    pub(super) fn product_info(
        &self, id: i64, together: Option<cache::loader::Batch>,
    ) -> impl Future<Output = Result<ProductInfo, CartError>> + Send + use<> {
        let (sender, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let is_first = waiting.is_empty();
            waiting.entry(id).or_default().push(sender);
            is_first
        };
        if is_first {
            // A separate task, because the other loads still need their results when the first one is dropped. It ends
            // within the time limits of the request.
            let batch = self.clone();
            tokio::spawn(async move { batch.ask(together).await });
        }
        // The task drops the sender without a result if it panics.
        let lost = || Err(CartError::Internal("a load ended without an answer".to_owned()));
        async move { answer.await.unwrap_or_else(|_| lost()) }
    }

    async fn ask(&self, together: Option<cache::loader::Batch>) {
        sleep(BATCH_DELAY).await;
        if let Some(together) = together {
            together.all_started().await;
        }
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let ids: Vec<i64> = waiting.keys().copied().collect();
        let infos = self.source.product_infos(&ids).await;
        for (id, senders) in waiting {
            let info = infos.as_ref().map(|infos| infos.get(&id).cloned().unwrap_or_else(ProductInfo::unknown));
            for sender in senders {
                // A receiver that was dropped needs no result.
                let _ = sender.send(info.clone().map_err(Clone::clone));
            }
        }
    }
}
