//! The running cart service: its start, its readiness and its stop.

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context;
use contract::product_api::ProductApi;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use outbox::consumer::{Consumer, Delivery, EventProgress, Subscription};
use outbox::log::EventLog;
use outbox::relay::{Outbox, Relay};
use service::consistency::AppliedWrites;
use service::events::{CART_EVENTS, PRODUCT_EVENTS};
use service::health::{Check, Readiness};
use service::{Service, StartContext, outbox_routes, shut_down_cache};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::cart_service::CartService;
use crate::carts::Carts;
use crate::facts::{ProductSnapshots, ProductSource, Upstream};
use crate::keys::{self, Caches};
use crate::react::{CartEventHandler, InvalidateOnRelay};
use crate::settings::Settings;
use crate::view::Views;
use crate::{NAME, routes};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The longest time that a start waits for earlier events to be applied. The rest is applied during the first requests.
const RELAY_WAIT: Duration = Duration::from_secs(2);

/// The running parts.
#[derive(Debug)]
pub struct App {
    carts: CartService,
    consumer: Consumer,
    progress: EventProgress,
    relay: Relay,
    /// Checks whether the product API is available.
    watch: JoinHandle<()>,
}

impl Service for App {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = "the cart service";
    const KEYSPACE: &'static str = keys::KEYSPACE;
    type Settings = Settings;

    fn openapi() -> OpenApi {
        let mut openapi = routes::ApiDoc::openapi();
        openapi.merge(outbox_routes::ApiDoc::openapi());
        openapi
    }

    /// The product API may be unavailable.
    async fn start(settings: &Settings, context: StartContext<'_>) -> anyhow::Result<Self> {
        let client = settings.product_api.http_client().context("PRODUCT_API__URL")?;
        let api = ProductApi::new(&settings.product_api.url, client.clone());
        let log = EventLog::new(&settings.product_api.url, client).with_token(context.token);
        // First the outbox: the triggers of this service write to it.
        let migrations = [outbox::relay::MIGRATIONS, MIGRATIONS];
        let pool = context.open_database(&settings.postgres, migrations).await?;

        let (cache, redis) = (context.cache, context.redis);
        let caches = Caches::new(&cache, &settings.lanes)?;
        let (upstream, snapshots) = (Upstream::new(api), ProductSnapshots::new(pool.clone()));
        let (carts, outbox) = (Carts::new(pool.clone()), Outbox::new(pool));
        let progress = EventProgress::new(PRODUCT_EVENTS, &settings.events);
        let facts = ProductSource::new(caches.product.clone(), progress.clone(), upstream.clone(), snapshots.clone());
        let applied = AppliedWrites::new(log.clone(), progress.clone());
        let views = Views::new(cache.clone(), caches.view.clone(), carts.clone(), facts.clone(), applied);

        let on_relay = InvalidateOnRelay::new(cache.clone(), views.clone());
        let relay = Relay::start(&settings.relay, CART_EVENTS, &settings.postgres, &redis, on_relay);
        let subscription = Subscription {
            source: PRODUCT_EVENTS,
            delivery: Delivery::Group(keys::GROUP),
            dead_letters: keys::DEAD_LETTERS.to_owned(),
            log,
        };
        let handler = CartEventHandler::new(cache.clone(), caches, snapshots);
        let consumer = Consumer::start(&settings.events, &redis, subscription, handler);
        progress.follow(consumer.followed());
        // Before the first request, waits for the changes made while no process of this service ran. Without Redis there
        // is nothing to invalidate.
        if cache.health().is_in_use() {
            let mut status = consumer.watch();
            // The guard of the watch must not outlive the wait, because the consumer could not update its status while
            // it is held.
            let applied = async { drop(status.wait_for(|status| status.verified.is_some()).await) };
            let _ = timeout(RELAY_WAIT, async { tokio::join!(relay.caught_up(), applied) }).await;
        }
        let watched = upstream.clone();
        let watch = tokio::spawn(async move { watched.watch().await });
        let commit_bound = settings.postgres.commit_bound();
        let carts = CartService { cache, carts, facts, views, outbox, upstream, commit_bound };
        Ok(Self { carts, consumer, progress, relay, watch })
    }

    /// The service requires its database. Without the others it is slower, or shows the last known data.
    fn readiness(&self, readiness: Readiness) -> Readiness {
        let (relay, progress) = (self.relay.failing(), self.progress.clone());
        let upstream = self.carts.upstream.clone();
        readiness
            .requires_database(self.carts.carts.pool())
            .prefers(Check::of_state("relay", move || relay.borrow().map_or(Ok(()), Err)))
            .prefers(Check::new("product-api", Duration::from_secs(1), move || {
                let upstream = upstream.clone();
                async move { upstream.ping().await }
            }))
            .prefers(Check::of_state("events", move || progress.check_ready()))
    }

    fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        let carts = Data::new(self.carts.clone());
        move |cfg: &mut ServiceConfig| {
            cfg.app_data(carts.clone());
            routes::configure(cfg);
            outbox_routes::configure(&carts.outbox, cfg);
        }
    }

    async fn stop(self, deadline: Instant) {
        self.watch.abort();
        tokio::join!(self.relay.stop(), self.consumer.stop());
        let pending = "are left to the relay of the outbox, in the next process or in another one";
        shut_down_cache(&self.carts.cache, deadline, pending).await;
    }
}
