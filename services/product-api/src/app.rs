//! The service from its parts: stores, shop, listener, server; and the way back when it is told to stop.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::Context;
use cache::{CacheClient, Keyspace};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use events::PRODUCT_EVENTS;
use events::relay::{Outbox, Relay};
use runtime::StandardRoutes;
use runtime::docs::{self, Docs};
use runtime::health::Readiness;
use runtime::operations::OperationsAccess;
use runtime::shutdown::shut_down_cache;
use runtime::telemetry::Metrics;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use utoipa::OpenApi as _;

use crate::catalogue::Catalogue;
use crate::events::{InvalidateOnRelay, Listener};
use crate::keys::{self, Caches};
use crate::products::ProductService;
use crate::settings::Settings;
use crate::{NAME, routes, seed};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// How long a start waits for Postgres.
const DATABASE_WAIT: Duration = Duration::from_secs(60);
/// How long a start waits for its relay. More is done behind the first requests.
const RELAY_WAIT: Duration = Duration::from_secs(2);
/// What a stop may take at least after the last request.
const MIN_SHUTDOWN: Duration = Duration::from_millis(500);

/// Why the readiness check `listener` fails.
const NOT_SUBSCRIBED: &str = "product:updates is not subscribed to: entries of the events strategy may be outdated";

/// What runs beside the requests.
struct Events {
    listener: Listener,
    relay: Relay,
}

/// Serves until `shutdown`, then finishes what is in flight, within the grace time.
pub async fn run(
    listener: TcpListener,
    settings: Settings,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let access = OperationsAccess::load(&settings.operations, &listener)?;
    let (service, events) = tokio::select! {
        started = start(&settings) => started?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let standard = StandardRoutes {
        readiness: readiness(&service, &events, shutdown.clone()),
        metrics,
        docs: Docs::new(&openapi()).context("the API's description")?,
    };
    info!(address = %listener.local_addr()?, "the product API is ready");
    let data = Data::new(service.clone());
    let ends = shutdown.clone();
    let deadline = async move {
        ends.cancelled().await;
        Instant::now() + settings.http.grace
    };
    let served = runtime::server::serve(listener, &settings.http, shutdown, move |cfg| {
        cfg.app_data(data.clone());
        access.configure(cfg);
        routes::configure(cfg);
        runtime::cache_routes::configure(&data.cache, cfg);
        runtime::outbox_routes::configure(&data.outbox, cfg);
        standard.configure(cfg);
    });
    let ((), deadline) = tokio::try_join!(served, async { Ok(deadline.await) })?;

    let deadline = deadline.max(Instant::now() + MIN_SHUTDOWN);
    let stopped = timeout_at(deadline, async {
        events.relay.stop().await;
        events.listener.stop().await;
        shut_down_cache(
            &service.cache,
            deadline,
            "are left to the relay of the outbox, in the next process or in another one",
        )
        .await;
    });
    match stopped.await {
        Ok(()) => info!("the product API has stopped"),
        Err(_) => warn!("the grace period is over; unfinished loads are dropped"),
    }
    Ok(())
}

/// Connects to the stores, brings the schema and the catalogue up to date, and starts to listen to events.
async fn start(settings: &Settings) -> anyhow::Result<(ProductService, Events)> {
    // The cache first: settings that it refuses should not wait for Postgres.
    let cache = CacheClient::connect(Keyspace::new(keys::KEYSPACE)?, &settings.redis).await.context("REDIS__URL")?;
    database::migrate(&settings.postgres, MIGRATIONS, DATABASE_WAIT).await.context("POSTGRES__URL")?;
    let pool = database::connect(&settings.postgres, NAME).await.context("POSTGRES__URL")?;
    seed::seed(&pool, settings.seed.products).await.context("SEED_PRODUCTS")?;

    let commit_bound = settings.postgres.commit_bound();
    let caches = Caches::new(&cache, &settings.lanes, commit_bound)?;
    // The listener first: what the relay publishes from now on is heard.
    let listener = Listener::start(&settings.redis, cache.clone(), caches.clone()).await.context("REDIS__URL")?;
    let on_relay = InvalidateOnRelay::new(cache.clone(), caches.clone());
    let (postgres, redis) = (&settings.postgres, &settings.redis.url);
    let relay = Relay::start(&settings.relay, PRODUCT_EVENTS, postgres, redis, on_relay).context("REDIS__URL")?;
    // What others have changed meanwhile, and the seed, before the first request; without Redis there is nothing to do.
    if cache.health().is_in_use() {
        let _ = timeout(RELAY_WAIT, relay.caught_up()).await;
    }
    let (outbox, catalogue) = (Outbox::new(pool.clone()), Catalogue::new(pool));
    Ok((ProductService { catalogue, cache, caches, outbox, commit_bound }, Events { listener, relay }))
}

/// The description of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut openapi = routes::ApiDoc::openapi();
    openapi.merge(runtime::cache_routes::description(keys::KEYSPACE));
    openapi.merge(runtime::outbox_routes::ApiDoc::openapi());
    routes::describe_explicit(&mut openapi);
    docs::complete(openapi)
}

/// Without its database the service is of no use; without Redis it is slower, and without the relay the other services do not
/// hear of changes.
fn readiness(service: &ProductService, events: &Events, shutdown: CancellationToken) -> Readiness {
    let (relay, listening) = (events.relay.failing(), events.listener.listening());
    Readiness::new(shutdown)
        .requires_database(service.catalogue.pool())
        .prefers_redis(&service.cache)
        .prefers_invalidations(&service.cache)
        .prefers_public("relay", Duration::from_secs(1), move || {
            let failing = *relay.borrow();
            async move { failing.map_or(Ok(()), Err) }
        })
        .prefers_public("listener", Duration::from_secs(1), move || {
            let listening = *listening.borrow();
            async move { if listening { Ok(()) } else { Err(NOT_SUBSCRIBED) } }
        })
}
