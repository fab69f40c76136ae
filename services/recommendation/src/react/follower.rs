//! Copies the catalogue if there is no copy yet, and follows both streams from there.

use std::time::{Duration, Instant};

use outbox::consumer::{
    Consumer, ConsumerSettings, Delivery, EventHandler, EventProgress, HandlerError, Resync, Subscription,
};
use outbox::log::{EventLog, LogError};
use outbox::{Backoff, EventSource, RecurringFailure};
use redis_connect::RedisAddress;
use service::events::{CART_EVENTS, PRODUCT_EVENTS};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{CartEventHandler, ProductEventHandler};
use crate::error::RecommendationError;
use crate::keys;
use crate::maintenance::LOG_TIMEOUT;
use crate::settings::Settings;

/// The maximum pause after a failure; the pause doubles up to this.
const LONGEST: Duration = Duration::from_secs(2);

/// Whether the events of both streams have been applied. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BothProgress {
    /// Events about products.
    pub products: EventProgress,
    /// Events about carts.
    pub carts: EventProgress,
}

impl BothProgress {
    /// Creates the progress of both streams, unverified until both consumers read.
    pub fn new(settings: &ConsumerSettings) -> Self {
        Self {
            products: EventProgress::new(PRODUCT_EVENTS, settings),
            carts: EventProgress::new(CART_EVENTS, settings),
        }
    }
}

/// The task that owns the consumers.
#[derive(Debug)]
pub struct Follower {
    /// The settings of the consumers.
    pub settings: Settings,
    /// The Redis of the streams.
    pub redis: RedisAddress,
    /// The handler of product events.
    pub products: ProductEventHandler,
    /// The handler of cart events.
    pub carts: CartEventHandler,
    /// Follows the progress of both consumers.
    pub progress: BothProgress,
}

impl Follower {
    /// Starts both consumers, and stops them on `shutdown`.
    pub async fn follow(self, shutdown: CancellationToken) {
        let Self { settings, redis, products, carts, progress } = self;
        let events = &settings.events;
        let consumers = async {
            // The streams start independently: cart events may arrive before there is a copy of the catalogue.
            tokio::join!(
                async {
                    begin_products(&products).await;
                    let log = products.sync.log.clone();
                    start(events, &redis, PRODUCT_EVENTS, log, products, &progress.products)
                },
                async {
                    begin_carts(&carts).await;
                    let log = carts.log.clone();
                    start(events, &redis, CART_EVENTS, log, carts, &progress.carts)
                }
            )
        };
        let (products, carts) = tokio::select! {
            consumers = consumers => consumers,
            () = shutdown.cancelled() => return,
        };
        shutdown.cancelled().await;
        tokio::join!(products.stop(), carts.stop());
    }
}

fn start<R: EventHandler>(
    settings: &ConsumerSettings, redis: &RedisAddress, source: EventSource, log: EventLog, handler: R,
    progress: &EventProgress,
) -> Consumer {
    let delivery = Delivery::Group(keys::GROUP);
    let subscription = Subscription { source, delivery, dead_letters: keys::DEAD_LETTERS.to_owned(), log };
    let consumer = Consumer::start(settings, redis, subscription, handler);
    progress.follow(consumer.followed());
    consumer
}

/// Ensures that there is a copy of the catalogue, and that its position belongs to the history of the log.
async fn begin_products(products: &ProductEventHandler) {
    let sync = &products.sync;
    if let Err(failure) = sync.catalogue.prune_processes().await {
        // The rows do no harm, and the next start removes them.
        debug!(reason = %failure, "pending refreshes of ended processes cannot be removed now");
    }
    let mut attempts = Attempts::new();
    loop {
        let begun = async {
            match sync.positions.of(PRODUCT_EVENTS.stream).await? {
                None => {
                    let filled = sync.fill().await?;
                    sync.record(filled).await
                }
                Some(position) => {
                    let asked = Instant::now();
                    let head = sync.log.head(Some(position.newest), LOG_TIMEOUT).await;
                    if let Ok(head) = head {
                        sync.state.observe_head(head.seq, position.seq, asked);
                    }
                    sync.state.set_copied();
                    match head {
                        Err(LogError::Diverged(_)) => {
                            products.resync(Resync::OtherHistory).await.map_err(failure).map(drop)
                        }
                        _ => Ok(()),
                    }
                }
            }
        };
        match begun.await {
            Ok(()) => return attempts.succeeded(),
            Err(failure) => attempts.failed(&failure).await,
        }
    }
}

/// Ensures that the position of the baskets belongs to the history of the log.
async fn begin_carts(carts: &CartEventHandler) {
    let positions = &carts.positions;
    let mut attempts = Attempts::new();
    loop {
        let begun = async {
            let Some(position) = positions.of(CART_EVENTS.stream).await? else {
                return Ok::<_, RecommendationError>(());
            };
            match carts.log.head(Some(position.newest), LOG_TIMEOUT).await {
                Err(LogError::Diverged(_)) => {
                    carts.resync(Resync::OtherHistory).await.map_err(failure)?;
                    warn!("the event log of the cart had another history than the baskets; the baskets are read again");
                    Ok(())
                }
                _ => Ok(()),
            }
        };
        match begun.await {
            Ok(()) => return attempts.succeeded(),
            Err(failure) => attempts.failed(&failure).await,
        }
    }
}

/// The attempts to start: the pauses between them, and what is logged of them.
struct Attempts {
    backoff: Backoff,
    outage: RecurringFailure,
}

impl Attempts {
    fn new() -> Self {
        let (failing, recovered) = ("a dependency is unavailable; the start is retried", "the start continues");
        let outage = RecurringFailure::new("start", failing, recovered);
        Self { backoff: Backoff::between(Duration::from_millis(100), LONGEST), outage }
    }

    async fn failed(&mut self, failure: &RecommendationError) {
        self.outage.failed(failure);
        sleep(self.backoff.pause()).await;
    }

    fn succeeded(&self) {
        self.outage.recovered();
    }
}

fn failure(error: HandlerError) -> RecommendationError {
    match error {
        HandlerError::Unavailable(reason) => RecommendationError::Unavailable(reason),
        HandlerError::Refused(reason) => RecommendationError::Internal(reason),
    }
}
