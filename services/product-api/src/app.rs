//! The running product API: its start, its readiness and its stop.

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use outbox::consumer::Consumer;
use outbox::relay::{Outbox, Relay};
use service::events::PRODUCT_EVENTS;
use service::health::{Check, Readiness};
use service::{Service, StartContext, outbox_routes, shut_down_cache};
use tokio::time::{Instant, timeout};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::catalogue::Catalogue;
use crate::events::{InvalidateOnRelay, listen};
use crate::faults::CrashSwitch;
use crate::keys::{self, Caches};
use crate::products::ProductService;
use crate::settings::Settings;
use crate::uncached_reads::UncachedReads;
use crate::{NAME, faults, routes, seed};

/// The tables of the catalogue, and the triggers that write its events.
pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The longest time that a start waits for its relay to catch up. The relay then continues during the first requests.
const RELAY_WAIT: Duration = Duration::from_secs(2);

/// By how much a write guard outlasts the transaction that it belongs to. Redis and Postgres measure with two clocks.
const GUARD_MARGIN: Duration = Duration::from_secs(1);

/// Why the readiness check `listener` fails.
const NOT_SUBSCRIBED: &str = "product:updates is not subscribed to: entries of the events strategy may be outdated";

/// The running parts.
#[derive(Debug)]
pub struct App {
    products: ProductService,
    listener: Consumer,
    relay: Relay,
    has_faults: bool,
}

impl Service for App {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = "the product API";
    const KEYSPACE: &'static str = keys::KEYSPACE;
    type Settings = Settings;

    fn openapi() -> OpenApi {
        let mut openapi = routes::ApiDoc::openapi();
        openapi.merge(outbox_routes::ApiDoc::openapi());
        routes::describe_strategies(&mut openapi);
        routes::describe_explicit(&mut openapi);
        openapi
    }

    async fn start(settings: &Settings, context: StartContext<'_>) -> anyhow::Result<Self> {
        // First the outbox: the triggers of this service write to it.
        let migrations = [outbox::relay::MIGRATIONS, MIGRATIONS];
        let pool = context.open_database(&settings.postgres, migrations).await?;
        seed::seed(&pool, settings.seed.products).await.context("SEED_PRODUCTS")?;

        let (cache, redis) = (context.cache, context.redis);
        let commit_bound = settings.postgres.commit_bound();
        let caches = Caches::new(&cache, &settings.lanes, commit_bound)?;
        // The listener starts before the relay, so that it receives everything that the relay publishes.
        let command_timeout = settings.common.redis.command_timeout;
        let listener = listen(&redis, command_timeout, cache.clone(), caches.clone()).await;
        let on_relay = InvalidateOnRelay::new(cache.clone(), caches.clone());
        let relay = Relay::start(&settings.relay, PRODUCT_EVENTS, &settings.postgres, &redis, on_relay);
        // Before the first request, waits for the invalidations of the seed and of changes made while this process was
        // down. Without Redis there is nothing to invalidate.
        if cache.health().is_in_use() {
            let _ = timeout(RELAY_WAIT, relay.caught_up()).await;
        }
        let (outbox, catalogue) = (Outbox::new(pool.clone()), Catalogue::new(pool));
        let crash = CrashSwitch::default();
        let guard_lease = settings.production.write_guard.then_some(commit_bound + GUARD_MARGIN);
        let uncached_reads = UncachedReads::of_pool(settings.postgres.max_connections.get());
        let products =
            ProductService { catalogue, cache, caches, uncached_reads, outbox, commit_bound, guard_lease, crash };
        Ok(Self { products, listener, relay, has_faults: settings.faults.enabled })
    }

    /// The service requires its database. Without Redis it is slower, and without the relay the other services do not
    /// receive changes.
    fn readiness(&self, readiness: Readiness) -> Readiness {
        let (relay, listener) = (self.relay.failing(), self.listener.watch());
        readiness
            .requires_database(self.products.catalogue.pool())
            .prefers(Check::of_state("relay", move || relay.borrow().map_or(Ok(()), Err)))
            .prefers(Check::of_state("listener", move || {
                let status = *listener.borrow();
                let has_subscribed = status.connected && status.verified.is_some() && !status.refused;
                if has_subscribed { Ok(()) } else { Err(NOT_SUBSCRIBED) }
            }))
    }

    fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        let (products, has_faults) = (Data::new(self.products.clone()), self.has_faults);
        move |cfg: &mut ServiceConfig| {
            cfg.app_data(products.clone());
            routes::configure(cfg);
            outbox_routes::configure(&products.outbox, cfg);
            if has_faults {
                faults::configure(&products.crash, cfg);
            }
        }
    }

    async fn stop(self, deadline: Instant) {
        self.relay.stop().await;
        self.listener.stop().await;
        let pending = "are left to the relay of the outbox, in the next process or in another one";
        shut_down_cache(&self.products.cache, deadline, pending).await;
    }
}
