//! The running search service: its start, its readiness and its stop.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context;
use cache::CacheClient;
use contract::product_api::ProductApi;
use outbox::consumer::EventProgress;
use outbox::log::EventLog;
use service::consistency::AppliedWrites;
use service::events::PRODUCT_EVENTS;
use service::health::{Check, Readiness};
use service::{Service, StartContext, shut_down_cache};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::follower::EventFollower;
use crate::index::{Commit, Store, StoreError};
use crate::indexer::Indexer;
use crate::invalidator::Invalidator;
use crate::keys;
use crate::maintenance::Maintenance;
use crate::pages::ResultPages;
use crate::routes::{self, SearchService};
use crate::settings::{IndexSettings, Settings};
use crate::state::IndexStatus;
use crate::watermarks::TagWatermarks;

/// How long a start waits for the directory of the index, which the previous process may still use.
const LOCK_WAIT: Duration = Duration::from_secs(15);

/// The running parts.
pub struct App {
    search: SearchService,
    cache: CacheClient,
    watermarks: TagWatermarks,
    /// The shutdown token ends them.
    tasks: Vec<JoinHandle<()>>,
}

impl Service for App {
    const NAME: &'static str = keys::KEYSPACE;
    const TITLE: &'static str = "the search service";
    const KEYSPACE: &'static str = keys::KEYSPACE;
    type Settings = Settings;

    fn openapi() -> OpenApi {
        routes::ApiDoc::openapi()
    }

    /// Redis and the product API may be unavailable.
    async fn start(settings: &Settings, context: StartContext<'_>) -> anyhow::Result<Self> {
        let StartContext { cache, redis, token, shutdown, .. } = context;
        let watermarks = TagWatermarks::connect(&redis);
        let client = settings.product_api.http_client().context("PRODUCT_API__URL")?;
        let api = ProductApi::new(&settings.product_api.url, client.clone());
        let log = EventLog::new(&settings.product_api.url, client).with_token(token);
        let (store, commit) = open(&settings.index).await.context("INDEX__PATH")?;
        let state = Arc::new(IndexStatus::new(settings.events.stale_after));
        if let Some(commit) = &commit {
            if commit.pending_invalidation {
                state.set_pending(commit.position);
            }
            state.publish(store.snapshot(commit));
            info!(position = commit.position, "the index of the previous run is loaded");
        }
        let invalidator = Invalidator::new(cache.clone(), watermarks.clone(), Arc::clone(&state));
        let pages = keys::pages(&cache, &settings.lanes)?;
        let limits = &settings.common.redis;
        let pages = ResultPages::new(cache.clone(), pages, watermarks.clone(), Arc::clone(&state), limits);
        let maintenance = Maintenance {
            log: log.clone(),
            cache: cache.clone(),
            invalidator: invalidator.clone(),
            watermarks: watermarks.clone(),
            state: Arc::clone(&state),
        };
        let commit_every = settings.index.commit_every;
        let indexer = Indexer::new(
            api,
            log.clone(),
            store,
            commit.clone(),
            invalidator.clone(),
            Arc::clone(&state),
            commit_every,
        );
        let progress = EventProgress::new(PRODUCT_EVENTS, &settings.events);
        let applied = AppliedWrites::new(log.clone(), Arc::clone(&state));
        let follower = EventFollower {
            settings: settings.clone(),
            redis,
            log,
            cache: cache.clone(),
            invalidator,
            state: Arc::clone(&state),
            progress: progress.clone(),
        };
        let stop = shutdown.clone();
        let maintaining = tokio::spawn(async move {
            tokio::select! {
                () = maintenance.run() => {}
                () = stop.cancelled() => {}
            }
        });
        let following = tokio::spawn(follower.follow(indexer, commit, shutdown));
        let search = SearchService { pages, state, progress, applied };
        Ok(Self { search, cache, watermarks, tasks: vec![maintaining, following] })
    }

    /// Requires the index and prefers the rest: without Redis, searches are slower; without the product API, the index
    /// becomes outdated.
    fn readiness(&self, readiness: Readiness) -> Readiness {
        let (building, ageing) = (Arc::clone(&self.search.state), Arc::clone(&self.search.state));
        let (invalidating, progress) = (Arc::clone(&self.search.state), self.search.progress.clone());
        readiness
            .requires(Check::of_state("index", move || building.readiness()))
            .prefers(Check::new("current", Duration::from_secs(1), move || {
                let index = ageing.index(std::time::Instant::now());
                async move {
                    match index.stale {
                        false => Ok(()),
                        true => Err(format!("the index may lag by {} events", index.lag)),
                    }
                }
            }))
            .prefers(Check::of_state("pages", move || match invalidating.pending_invalidation() {
                None => Ok(()),
                Some(_) => Err("Redis has not acknowledged an invalidation of the result pages; they bypass the cache"),
            }))
            .prefers(Check::of_state("events", move || progress.check_ready()))
    }

    fn usable(&self) -> impl Future<Output = ()> + Send + 'static {
        let state = Arc::clone(&self.search.state);
        async move { state.usable().await }
    }

    fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        let search = Data::new(self.search.clone());
        move |cfg: &mut ServiceConfig| {
            cfg.app_data(search.clone());
            routes::configure(cfg);
        }
    }

    async fn stop(self, deadline: Instant) {
        for task in self.tasks {
            // The runtime has already reported a panic.
            let _ = task.await;
        }
        shut_down_cache(&self.cache, deadline, "are lost with this process").await;
        self.watermarks.close().await;
    }
}

/// Opens the index, and waits for a previous process that still uses it.
async fn open(settings: &IndexSettings) -> Result<(Store, Option<Commit>), anyhow::Error> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        let settings = settings.clone();
        match spawn_blocking(move || Store::open(&settings.path, settings.memory)).await? {
            Err(error @ StoreError::InUse(_)) if Instant::now() < deadline => {
                warn!(%error, "the index directory is in use; waiting for the previous process to release it");
                sleep(Duration::from_millis(500)).await;
            }
            opened => return Ok(opened?),
        }
    }
}
