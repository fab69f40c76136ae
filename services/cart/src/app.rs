//! The service from its parts: stores, shop, relay, consumer, server; and the way back when it is told to stop.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::Context;
use cache::{CacheClient, Keyspace};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use events::consumer::{Consumer, Delivery, EventProgress, Subscription};
use events::product_api::ProductApi;
use events::relay::{Outbox, Relay};
use events::{CART_EVENTS, PRODUCT_EVENTS};
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

use crate::carts::Carts;
use crate::facts::{ProductSnapshots, ProductSource, Upstream};
use crate::keys::{self, Caches};
use crate::react::{CartEventHandler, InvalidateOnRelay};
use crate::service::CartService;
use crate::settings::Settings;
use crate::view::Views;
use crate::{NAME, routes};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// How long a start waits for Postgres.
const DATABASE_WAIT: Duration = Duration::from_secs(60);
/// How long a start waits until the events from before it are carried out. More is done behind the first requests.
const RELAY_WAIT: Duration = Duration::from_secs(2);
/// What a stop may take at least after the last request.
const MIN_SHUTDOWN: Duration = Duration::from_millis(500);

/// What runs beside the requests.
struct Events {
    consumer: Consumer,
    progress: EventProgress,
    relay: Relay,
}

/// Serves until `shutdown`, then finishes what is in flight, within the grace time.
///
/// # Errors
/// When a setting leads nowhere, or the listener fails.
pub async fn run(
    listener: TcpListener,
    settings: Settings,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let access = OperationsAccess::load(&settings.operations, &listener)?;
    let (service, events) = tokio::select! {
        started = start(&settings, access.token()) => started?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let standard = StandardRoutes {
        readiness: readiness(&service, &events, shutdown.clone()),
        metrics,
        docs: Docs::new(&openapi()).context("the API's description")?,
    };
    info!(address = %listener.local_addr()?, "the cart service is ready");
    let upstream = service.upstream.clone();
    let watching = tokio::spawn(async move { upstream.watch().await });
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

    watching.abort();
    let deadline = deadline.max(Instant::now() + MIN_SHUTDOWN);
    let stopped = timeout_at(deadline, async {
        tokio::join!(events.relay.stop(), events.consumer.stop());
        shut_down_cache(
            &service.cache,
            deadline,
            "are left to the relay of the outbox, in the next process or in another one",
        )
        .await;
    });
    match stopped.await {
        Ok(()) => info!("the cart service has stopped"),
        Err(_) => warn!("the grace period is over; unfinished loads are dropped"),
    }
    Ok(())
}

/// Connects to the stores, brings the schema up to date, and starts to relay and to listen. The product API may be away.
async fn start(settings: &Settings, token: Option<&str>) -> anyhow::Result<(CartService, Events)> {
    // The cache first: settings that it refuses should not wait for Postgres.
    let cache = CacheClient::connect(Keyspace::new(keys::KEYSPACE)?, &settings.redis).await.context("REDIS__URL")?;
    let api = ProductApi::new(&settings.product_api).context("PRODUCT_API__URL")?.with_token(token);
    database::migrate(&settings.postgres, MIGRATIONS, DATABASE_WAIT).await.context("POSTGRES__URL")?;
    let pool = database::connect(&settings.postgres, NAME).await.context("POSTGRES__URL")?;

    let lanes = Caches::new(&cache, &settings.lanes)?;
    let (upstream, snapshots) = (Upstream::new(api.clone()), ProductSnapshots::new(pool.clone()));
    let (carts, outbox) = (Carts::new(pool.clone()), Outbox::new(pool));
    let progress = EventProgress::new(PRODUCT_EVENTS, &settings.events);
    let facts = ProductSource::new(lanes.product.clone(), progress.clone(), upstream.clone(), snapshots.clone());
    let views = Views::new(cache.clone(), lanes.view.clone(), carts.clone(), facts.clone(), settings.redis.max_loads);

    let (redis, commit_bound) = (&settings.redis.url, settings.postgres.commit_bound());
    let aftermath = InvalidateOnRelay::new(cache.clone(), views.clone());
    let relay =
        Relay::start(&settings.relay, CART_EVENTS, &settings.postgres, redis, aftermath).context("REDIS__URL")?;
    let subscription = Subscription {
        source: PRODUCT_EVENTS,
        delivery: Delivery::Group(keys::GROUP),
        dead_letters: keys::DEAD_LETTERS.to_owned(),
        log: api.events(),
    };
    let handler = CartEventHandler::new(cache.clone(), lanes, snapshots);
    let consumer = Consumer::start(&settings.events, redis, subscription, handler).context("REDIS__URL")?;
    progress.follow(&consumer);
    // What has changed while nobody listened, before the first request; without Redis there is nothing to do.
    if cache.health().is_in_use() {
        let mut status = consumer.watch();
        // Its guard must not outlive the wait: the consumer could not tell of its status any more.
        let heard = async { drop(status.wait_for(|status| status.verified.is_some()).await) };
        let _ = timeout(RELAY_WAIT, async { tokio::join!(relay.caught_up(), heard) }).await;
    }
    Ok((
        CartService { cache, carts, facts, views, outbox, upstream, commit_bound },
        Events { consumer, progress, relay },
    ))
}

/// The description of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut openapi = routes::ApiDoc::openapi();
    openapi.merge(runtime::cache_routes::description(keys::KEYSPACE));
    openapi.merge(runtime::outbox_routes::ApiDoc::openapi());
    docs::complete(openapi)
}

/// Without its database the cart is of no use; without the others it is slower, or shows what it last knew.
fn readiness(service: &CartService, events: &Events, shutdown: CancellationToken) -> Readiness {
    let (relay, progress) = (events.relay.failing(), events.progress.clone());
    let limit = Duration::from_secs(1);
    let upstream = service.upstream.clone();
    Readiness::new(shutdown)
        .requires_database(service.carts.pool())
        .prefers_redis(&service.cache)
        .prefers_invalidations(&service.cache)
        .prefers_public("relay", limit, move || {
            let failing = *relay.borrow();
            async move { failing.map_or(Ok(()), Err) }
        })
        .prefers("product-api", limit, move || {
            let upstream = upstream.clone();
            async move { upstream.ping().await }
        })
        .prefers_public("events", limit, move || {
            let ready = progress.check_ready();
            async move { ready }
        })
}
