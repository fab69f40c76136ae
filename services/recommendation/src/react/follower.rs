//! Copies the catalogue where there is no copy, and follows both streams from there.

use std::time::{Duration, Instant};

use events::consumer::{
    Consumer, ConsumerSettings, Delivery, EventHandler, EventProgress, HandlerError, Resync, Subscription,
};
use events::log::{EventLog, LogError};
use events::{CART_EVENTS, PRODUCT_EVENTS, Source};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{CartEventHandler, ProductEventHandler};
use crate::error::RecommendationError;
use crate::settings::Settings;
use crate::{keys, maintenance};

/// How long it rests after a failure: twice as long each time, up to this.
const LONGEST: Duration = Duration::from_secs(2);

/// How far the events of both streams are carried out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BothProgress {
    /// Those about products.
    pub products: EventProgress,
    /// Those about carts.
    pub carts: EventProgress,
}

impl BothProgress {
    /// Unverified, until both consumers read.
    pub fn new(settings: &ConsumerSettings) -> Self {
        Self {
            products: EventProgress::new(PRODUCT_EVENTS, settings),
            carts: EventProgress::new(CART_EVENTS, settings),
        }
    }
}

/// The task that holds the consumers.
#[derive(Debug)]
pub struct Follower {
    /// How events reach it.
    pub settings: Settings,
    /// What changes of products do.
    pub products: ProductEventHandler,
    /// What changes of carts do.
    pub carts: CartEventHandler,
    /// Told how far the events of each are carried out.
    pub progress: BothProgress,
}

impl Follower {
    /// Ends when it is told to.
    pub async fn follow(self, shutdown: CancellationToken) {
        let Self { settings, products, carts, progress } = self;
        let consumers = async {
            // The one does not wait for the other: carts may be heard of before there is a catalogue.
            tokio::join!(
                async {
                    begin_products(&products).await;
                    let log = products.sync.api.events();
                    start(&settings, PRODUCT_EVENTS, log, products, &progress.products)
                },
                async {
                    begin_carts(&carts).await;
                    let log = carts.log.clone();
                    start(&settings, CART_EVENTS, log, carts, &progress.carts)
                }
            )
        };
        let consumers = tokio::select! {
            consumers = consumers => consumers,
            () = shutdown.cancelled() => return,
        };
        let (Some(products), Some(carts)) = consumers else { return };
        shutdown.cancelled().await;
        tokio::join!(products.stop(), carts.stop());
    }
}

fn start<R: EventHandler>(
    settings: &Settings,
    source: Source,
    log: EventLog,
    handler: R,
    progress: &EventProgress,
) -> Option<Consumer> {
    let delivery = Delivery::Group(keys::GROUP);
    let subscription = Subscription { source, delivery, dead_letters: keys::DEAD_LETTERS.to_owned(), log };
    Consumer::start(&settings.events, &settings.redis.url, subscription, handler)
        .inspect(|consumer| progress.follow(consumer))
        // The cache has taken this URL.
        .inspect_err(|error| error!(%error, "events cannot be read"))
        .ok()
}

/// Sees to it that there is a copy of the catalogue, and that its position is one of this log.
async fn begin_products(products: &ProductEventHandler) {
    let sync = &products.sync;
    if let Err(failure) = sync.catalogue.prune_processes().await {
        // Nothing waits for them: the next start forgets them.
        debug!(reason = %failure, "pending refreshes of ended processes cannot be removed now");
    }
    let mut rest = StartBackoff::default();
    loop {
        let begun = async {
            match sync.positions.of(PRODUCT_EVENTS.stream).await? {
                None => sync.fill().await,
                Some(position) => {
                    let asked = Instant::now();
                    let head = maintenance::head(&sync.api.events(), Some(position.newest)).await;
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
            Ok(()) => return,
            Err(failure) => rest.after(&failure).await,
        }
    }
}

/// Sees to it that the position of the baskets is one of this log.
async fn begin_carts(carts: &CartEventHandler) {
    let positions = &carts.positions;
    let mut rest = StartBackoff::default();
    loop {
        let begun = async {
            let Some(position) = positions.of(CART_EVENTS.stream).await? else { return Ok(()) };
            match maintenance::head(&carts.log, Some(position.newest)).await {
                Err(LogError::Diverged(_)) => {
                    warn!(
                        "the event log of the cart has a different history than the baskets; the baskets are read again"
                    );
                    carts.resync(Resync::OtherHistory).await.map_err(failure).map(drop)
                }
                _ => Ok(()),
            }
        };
        match begun.await {
            Ok(()) => return,
            Err(failure) => rest.after(&failure).await,
        }
    }
}

fn failure(error: HandlerError) -> RecommendationError {
    match error {
        HandlerError::Unavailable(reason) => RecommendationError::Unavailable(reason),
        HandlerError::Refused(reason) => RecommendationError::Internal(reason),
    }
}

/// Pauses that grow.
#[derive(Default)]
struct StartBackoff {
    failures: u32,
}

impl StartBackoff {
    async fn after(&mut self, failure: &RecommendationError) {
        if self.failures == 0 {
            warn!(reason = %failure, "a dependency is unavailable; the start is retried");
        }
        self.failures += 1;
        sleep((Duration::from_millis(50) * 2u32.pow(self.failures.min(8))).min(LONGEST)).await;
    }
}
