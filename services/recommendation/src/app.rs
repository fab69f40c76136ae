//! Starts the service from its parts (stores, cache, consumers, learner, server), and stops them in order.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::Context;
use cache::{CacheClient, Keyspace};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use events::carts::CartSnapshot;
use events::log::EventLog;
use events::product_api::ProductApi;
use runtime::StandardRoutes;
use runtime::docs::{self, Docs};
use runtime::health::Readiness;
use runtime::operations::OperationsAccess;
use runtime::shutdown::shut_down_cache;
use runtime::telemetry::Metrics;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use utoipa::OpenApi as _;

use crate::baskets::BasketItems;
use crate::catalogue::{Catalogue, CatalogueSync};
use crate::keys::{self, Caches};
use crate::learning::Learner;
use crate::lists::Lists;
use crate::positions::Positions;
use crate::react::{BasketRebuild, BothProgress, CartEventHandler, Follower, ProductEventHandler};
use crate::routes::{self, RecommendationService};
use crate::settings::Settings;
use crate::state::CatalogueStatus;
use crate::{NAME, maintenance};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// How long a start waits for Postgres.
const DATABASE_WAIT: Duration = Duration::from_secs(60);
/// The minimum time for shutdown after the last request.
const MIN_SHUTDOWN: Duration = Duration::from_millis(500);

/// The running parts, and the tasks that a shutdown waits for.
struct Started {
    shelves: RecommendationService,
    cache: CacheClient,
    positions: Positions,
    tasks: Vec<JoinHandle<()>>,
}

/// Serves until `shutdown`, then finishes the requests in flight within the grace time.
///
/// # Errors
/// Fails when a setting cannot be used, when Postgres is unavailable at the start, or when the listener fails.
pub async fn run(
    listener: TcpListener,
    settings: Settings,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let access = OperationsAccess::load(&settings.operations, &listener)?;
    let started = tokio::select! {
        started = start(&settings, access.token(), shutdown.clone()) => started?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let standard = StandardRoutes {
        readiness: readiness(&started, shutdown.clone()),
        metrics,
        docs: Docs::new(&openapi()).context("the API's description")?,
    };
    let Started { shelves, cache, tasks, .. } = started;
    // The server accepts requests from now on. /readyz reports whether the service can recommend anything.
    let address = listener.local_addr()?;
    info!(%address, "the recommendation service accepts connections");
    let state = shelves.state.clone();
    let telling = tokio::spawn(async move {
        state.usable().await;
        info!(%address, "the recommendation service is ready");
    });
    let (data, routes_cache) = (Data::new(shelves), cache.clone());
    let ends = shutdown.clone();
    let deadline = async move {
        ends.cancelled().await;
        Instant::now() + settings.http.grace
    };
    let served = runtime::server::serve(listener, &settings.http, shutdown, move |cfg| {
        cfg.app_data(data.clone());
        access.configure(cfg);
        routes::configure(cfg);
        runtime::cache_routes::configure(&routes_cache, cfg);
        standard.configure(cfg);
    });
    let ((), deadline) = tokio::try_join!(served, async { Ok(deadline.await) })?;

    telling.abort();
    let deadline = deadline.max(Instant::now() + MIN_SHUTDOWN);
    let stopped = timeout_at(deadline, async {
        for task in tasks {
            // The token ends the tasks. The runtime has already reported a panic.
            let _ = task.await;
        }
        shut_down_cache(&cache, deadline, "are lost with this process").await;
    });
    match stopped.await {
        Ok(()) => info!("the recommendation service has stopped"),
        Err(_) => warn!("the grace period is over; unfinished work is dropped"),
    }
    Ok(())
}

/// Connects to the stores, migrates the schema, and starts the background tasks. Redis, the product API and the cart
/// may be unavailable.
async fn start(settings: &Settings, token: Option<&str>, shutdown: CancellationToken) -> anyhow::Result<Started> {
    // The cache comes first, so that a setting which it refuses is reported without waiting for Postgres.
    let cache = CacheClient::connect(Keyspace::new(keys::KEYSPACE)?, &settings.redis).await.context("REDIS__URL")?;
    let api = ProductApi::new(&settings.product_api).context("PRODUCT_API__URL")?.with_token(token);
    let client = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_millis(500)).build()?;
    let cart_log = EventLog::new(&settings.cart.url, client.clone()).with_token(token);
    let snapshot = CartSnapshot::new(&settings.cart.url, client).with_token(token);
    database::migrate(&settings.postgres, MIGRATIONS, DATABASE_WAIT).await.context("POSTGRES__URL")?;
    let pool = database::connect(&settings.postgres, NAME).await.context("POSTGRES__URL")?;

    let (state, positions) = (CatalogueStatus::default(), Positions::new(pool.clone()));
    let lanes = Caches::new(&cache, &settings.lanes)?;
    let lists = Lists::new(lanes.clone(), pool.clone());
    let learner = Learner::new(pool.clone(), cache.clone(), settings.learning.clone());
    let sync = CatalogueSync {
        api: api.clone(),
        catalogue: Catalogue::new(pool.clone()),
        positions: positions.clone(),
        state: state.clone(),
    };
    let products = ProductEventHandler { cache: cache.clone(), lists: lanes.list, sync };
    let baskets = BasketItems::new(pool);
    let rebuild = BasketRebuild {
        snapshot,
        log: cart_log.clone(),
        baskets: baskets.clone(),
        positions: positions.clone(),
        cache: cache.clone(),
        state: state.clone(),
    };
    let carts = CartEventHandler { cache: cache.clone(), baskets, positions: positions.clone(), log: cart_log };
    let progress = BothProgress::new(&settings.events);
    let follower = Follower { settings: settings.clone(), products, carts, progress: progress.clone() };
    let keeping = maintenance::run(api.events(), positions.clone(), state.clone());
    let tasks = vec![
        tokio::spawn(until(shutdown.clone(), keeping)),
        tokio::spawn(until(shutdown.clone(), async move { learner.learn().await })),
        tokio::spawn(until(shutdown.clone(), async move { rebuild.keep().await })),
        tokio::spawn(follower.follow(shutdown)),
    ];
    Ok(Started { shelves: RecommendationService { lists, state, progress }, cache, positions, tasks })
}

/// Runs `work` until `shutdown`. If `work` is dropped midway, its transaction is rolled back.
async fn until(shutdown: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}

/// Returns the OpenAPI description of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut openapi = routes::ApiDoc::openapi();
    openapi.merge(runtime::cache_routes::description(keys::KEYSPACE));
    docs::complete(openapi)
}

/// Requires the database and a copy of the catalogue, and prefers the rest: without Redis, lists are slower; without
/// the product API or the cart, they become outdated.
fn readiness(started: &Started, shutdown: CancellationToken) -> Readiness {
    let limit = Duration::from_secs(1);
    let progress = started.shelves.progress.clone();
    let state = &started.shelves.state;
    let (filling, ageing, baskets) = (state.clone(), state.clone(), state.clone());
    Readiness::new(shutdown)
        .requires_database(started.positions.pool())
        .requires_public("catalogue", limit, move || {
            let state = filling.readiness();
            async move { state }
        })
        .prefers("current", limit, move || {
            let catalogue = ageing.catalogue(std::time::Instant::now());
            async move {
                match catalogue.stale {
                    false => Ok(()),
                    true => Err(format!("the copy of the catalogue may lag by {} events", catalogue.lag)),
                }
            }
        })
        .prefers_public("baskets", limit, move || {
            let are_incomplete = baskets.are_baskets_incomplete();
            async move {
                match are_incomplete {
                    false => Ok(()),
                    true => Err("events about carts are lost, and the baskets have not been read from the cart yet"),
                }
            }
        })
        .prefers_redis(&started.cache)
        .prefers_invalidations(&started.cache)
        .prefers_public("events", limit, move || {
            let ready = progress.products.check_ready().and_then(|()| progress.carts.check_ready());
            async move { ready }
        })
}
