//! The running recommendation service: its start, its readiness and its stop.

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context;
use cache::CacheClient;
use contract::cart_snapshot::CartSnapshot;
use contract::product_api::ProductApi;
use database::Pool;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use outbox::log::EventLog;
use service::consistency::AppliedWrites;
use service::health::{Check, Readiness};
use service::{Service, StartContext, shut_down_cache};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

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

/// The running parts.
#[derive(Debug)]
pub struct App {
    recommendations: RecommendationService,
    cache: CacheClient,
    pool: Pool,
    /// The shutdown token ends them.
    tasks: Vec<JoinHandle<()>>,
}

impl Service for App {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = "the recommendation service";
    const KEYSPACE: &'static str = keys::KEYSPACE;
    type Settings = Settings;

    fn openapi() -> OpenApi {
        routes::ApiDoc::openapi()
    }

    /// Redis, the product API and the cart may be unavailable.
    async fn start(settings: &Settings, context: StartContext<'_>) -> anyhow::Result<Self> {
        let token = context.token;
        let client = settings.product_api.http_client().context("PRODUCT_API__URL")?;
        let api = ProductApi::new(&settings.product_api.url, client.clone());
        let log = EventLog::new(&settings.product_api.url, client).with_token(token);
        let client = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_millis(500)).build()?;
        let cart_log = EventLog::new(&settings.cart.url, client.clone()).with_token(token);
        let snapshot = CartSnapshot::new(&settings.cart.url, client).with_token(token);
        let pool = context.open_database(&settings.postgres, [MIGRATIONS]).await?;

        let StartContext { cache, redis, shutdown, .. } = context;
        let (state, positions) = (CatalogueStatus::new(settings.events.stale_after), Positions::new(pool.clone()));
        let caches = Caches::new(&cache, &settings.lanes)?;
        let lists = Lists::new(caches.clone(), pool.clone());
        let learner = Learner::new(pool.clone(), cache.clone(), settings.learning.clone());
        let sync = CatalogueSync {
            api,
            log: log.clone(),
            catalogue: Catalogue::new(pool.clone()),
            positions: positions.clone(),
            state: state.clone(),
        };
        let products = ProductEventHandler { cache: cache.clone(), lists: caches.list, sync };
        let baskets = BasketItems::new(pool.clone());
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
        let follower = Follower { settings: settings.clone(), redis, products, carts, progress: progress.clone() };
        let applied = AppliedWrites::new(log.clone(), progress.products.clone());
        let maintaining = maintenance::run(log, positions, state.clone());
        let tasks = vec![
            tokio::spawn(until(shutdown.clone(), maintaining)),
            tokio::spawn(until(shutdown.clone(), async move { learner.learn().await })),
            tokio::spawn(until(shutdown.clone(), async move { rebuild.keep().await })),
            tokio::spawn(follower.follow(shutdown)),
        ];
        Ok(Self { recommendations: RecommendationService { lists, state, progress, applied }, cache, pool, tasks })
    }

    /// Requires the database and a copy of the catalogue, and prefers the rest: without Redis, lists are slower; without
    /// the product API or the cart, they become outdated.
    fn readiness(&self, readiness: Readiness) -> Readiness {
        let RecommendationService { state, progress, .. } = self.recommendations.clone();
        let (copying, ageing, baskets) = (state.clone(), state.clone(), state);
        readiness
            .requires_database(&self.pool)
            .requires(Check::of_state("catalogue", move || copying.readiness()))
            .prefers(Check::new("current", Duration::from_secs(1), move || {
                let catalogue = ageing.catalogue(std::time::Instant::now());
                async move {
                    match catalogue.stale {
                        false => Ok(()),
                        true => Err(format!("the copy of the catalogue may lag by {} events", catalogue.lag)),
                    }
                }
            }))
            .prefers(Check::of_state("baskets", move || match baskets.are_baskets_incomplete() {
                false => Ok(()),
                true => Err("events about carts were lost, and the baskets have not been read from the cart since"),
            }))
            .prefers(Check::of_state("events", move || {
                progress.products.check_ready().and_then(|()| progress.carts.check_ready())
            }))
    }

    fn usable(&self) -> impl Future<Output = ()> + Send + 'static {
        let state = self.recommendations.state.clone();
        async move { state.usable().await }
    }

    fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        let recommendations = Data::new(self.recommendations.clone());
        move |cfg: &mut ServiceConfig| {
            cfg.app_data(recommendations.clone());
            routes::configure(cfg);
        }
    }

    async fn stop(self, deadline: Instant) {
        for task in self.tasks {
            // The runtime has already reported a panic.
            let _ = task.await;
        }
        shut_down_cache(&self.cache, deadline, "are lost with this process").await;
    }
}

/// Runs `work` until `shutdown`. If `work` is dropped midway, its transaction is rolled back.
async fn until(shutdown: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}
