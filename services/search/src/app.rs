//! Starts the service from its parts (index, cache, indexer, consumer, server), and stops them in order.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::Context;
use cache::{CacheClient, Keyspace};
use events::PRODUCT_EVENTS;
use events::consumer::{Consumer, Delivery, EventProgress, Subscription};
use events::log::{LogError, LogPosition};
use events::product_api::ProductApi;
use runtime::StandardRoutes;
use runtime::docs::{self, Docs};
use runtime::health::Readiness;
use runtime::operations::OperationsAccess;
use runtime::shutdown::shut_down_cache;
use runtime::telemetry::Metrics;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use utoipa::OpenApi as _;

use crate::index::{Commit, Store, StoreError};
use crate::indexer::{Indexer, Work};
use crate::invalidator::Invalidator;
use crate::keys::{self, DEAD_LETTERS, KEYSPACE};
use crate::maintenance::Maintenance;
use crate::pages::ResultPages;
use crate::react::Reaction;
use crate::routes::{self, SearchService};
use crate::settings::{IndexSettings, Settings};
use crate::state::IndexStatus;
use crate::watermarks::TagWatermarks;

/// How long a start waits for the directory of the index, which the previous process may still use.
const LOCK_WAIT: Duration = Duration::from_secs(15);
/// Batches of events that wait while the indexer commits. When the queue is full, the consumer waits, and outdated
/// pages stay in the cache for longer.
const QUEUE: usize = 512;
/// The minimum time for shutdown after the last request.
const MIN_SHUTDOWN: Duration = Duration::from_millis(500);

/// Serves until `shutdown`, then finishes the requests in flight within the grace time.
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
    let Started { searching, cache, horizon, tasks } = started;
    let standard = StandardRoutes {
        readiness: readiness(&searching, &cache, shutdown.clone()),
        metrics,
        docs: Docs::new(&openapi()).context("the API's description")?,
    };
    // The server accepts requests from now on. /readyz reports whether the index can be searched.
    let address = listener.local_addr()?;
    info!(%address, "the search service accepts connections");
    let state = Arc::clone(&searching.state);
    let telling = tokio::spawn(async move {
        state.usable().await;
        info!(%address, "the search service is ready");
    });
    let (data, routes_cache) = (Data::new(searching), cache.clone());
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
        horizon.close().await;
    });
    match stopped.await {
        Ok(()) => info!("the search service has stopped"),
        Err(_) => warn!("the grace period is over; unfinished work is dropped"),
    }
    Ok(())
}

/// The running parts, and the tasks that a shutdown waits for.
struct Started {
    searching: SearchService,
    cache: CacheClient,
    horizon: TagWatermarks,
    tasks: Vec<JoinHandle<()>>,
}

/// Connects, opens the index, and starts the background tasks. Redis and the product API may be unavailable.
async fn start(settings: &Settings, token: Option<&str>, shutdown: CancellationToken) -> anyhow::Result<Started> {
    let cache = CacheClient::connect(Keyspace::new(KEYSPACE)?, &settings.redis).await.context("REDIS__URL")?;
    let horizon = TagWatermarks::connect(&settings.redis.url).context("REDIS__URL")?;
    let api = ProductApi::new(&settings.product_api).context("PRODUCT_API__URL")?.with_token(token);
    let (store, commit) = open(&settings.index).await.context("INDEX__PATH")?;
    let state = Arc::new(IndexStatus::default());
    if let Some(commit) = &commit {
        if commit.owed {
            state.set_pending(commit.position);
        }
        state.publish(store.snapshot(commit));
        info!(position = commit.position, "the index of the previous run is loaded");
    }
    let announcer = Invalidator::new(cache.clone(), horizon.clone(), Arc::clone(&state));
    let lane = keys::pages(&cache, &settings.lanes)?;
    let pages = ResultPages::new(cache.clone(), lane, horizon.clone(), Arc::clone(&state), &settings.redis);
    let keeper = Maintenance {
        api: api.clone(),
        cache: cache.clone(),
        announcer: announcer.clone(),
        horizon: horizon.clone(),
        state: Arc::clone(&state),
    };
    let indexer = Indexer::new(
        api.clone(),
        store,
        commit.clone(),
        announcer.clone(),
        Arc::clone(&state),
        settings.index.commit_every,
    );
    let progress = EventProgress::new(PRODUCT_EVENTS, &settings.events);
    let follower = EventFollower {
        settings: settings.clone(),
        api,
        cache: cache.clone(),
        announcer,
        state: Arc::clone(&state),
        progress: progress.clone(),
    };
    let stop = shutdown.clone();
    let keeping = tokio::spawn(async move {
        tokio::select! {
            () = keeper.run() => {}
            () = stop.cancelled() => {}
        }
    });
    let following = tokio::spawn(follower.follow(indexer, commit, shutdown));
    Ok(Started { searching: SearchService { pages, state, progress }, cache, horizon, tasks: vec![keeping, following] })
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

/// Builds the index where there is none, and follows the stream from there.
struct EventFollower {
    settings: Settings,
    api: ProductApi,
    cache: CacheClient,
    announcer: Invalidator,
    state: Arc<IndexStatus>,
    progress: EventProgress,
}

impl EventFollower {
    async fn follow(self, mut indexer: Indexer, commit: Option<Commit>, shutdown: CancellationToken) {
        let position = tokio::select! {
            position = self.begin(&mut indexer, commit) => position,
            () = shutdown.cancelled() => return,
        };
        let (work, queue) = mpsc::channel::<Work>(QUEUE);
        let subscription = Subscription {
            source: PRODUCT_EVENTS,
            delivery: Delivery::Log(position),
            dead_letters: DEAD_LETTERS.to_owned(),
            log: self.api.events(),
        };
        let reaction = Reaction { cache: self.cache, announcer: self.announcer, state: self.state, work };
        match Consumer::start(&self.settings.events, &self.settings.redis.url, subscription, reaction) {
            Ok(consumer) => {
                self.progress.follow(&consumer);
                indexer.run(queue, shutdown).await;
                consumer.stop().await;
            }
            // Unreachable in practice: the cache has accepted this URL.
            Err(error) => error!(%error, "events cannot be read"),
        }
    }

    /// Returns the position from which the consumer follows the stream.
    async fn begin(&self, indexer: &mut Indexer, commit: Option<Commit>) -> LogPosition {
        let Some(commit) = commit else { return indexer.reindex().await };
        match timeout(Duration::from_secs(2), self.api.events().head(Some(commit.mark()))).await {
            Ok(Err(LogError::Diverged(position))) => {
                warn!(
                    position,
                    "the index has a different history than the catalogue's event log; it is compared with the catalogue"
                );
                // The event numbers of this index belong to another history, so its pages would appear newer than they
                // are.
                self.state.withdraw();
                self.announcer.reset_history().await;
                indexer.reindex().await
            }
            _ => commit.mark(),
        }
    }
}

/// Returns the OpenAPI description of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut openapi = routes::ApiDoc::openapi();
    openapi.merge(runtime::cache_routes::description(KEYSPACE));
    docs::complete(openapi)
}

/// Requires the index and prefers the rest: without Redis, searches are slower; without the product API, the index
/// becomes outdated.
fn readiness(searching: &SearchService, cache: &CacheClient, shutdown: CancellationToken) -> Readiness {
    let (building, ageing) = (Arc::clone(&searching.state), Arc::clone(&searching.state));
    let progress = searching.progress.clone();
    Readiness::new(shutdown)
        .requires_public("index", Duration::from_secs(1), move || {
            let state = building.readiness();
            async move { state }
        })
        .prefers("current", Duration::from_secs(1), move || {
            let index = ageing.index(std::time::Instant::now());
            async move {
                match index.stale {
                    false => Ok(()),
                    true => Err(format!("the index may lag by {} events", index.lag)),
                }
            }
        })
        .prefers_public("events", Duration::from_secs(1), move || {
            let ready = progress.check_ready();
            async move { ready }
        })
        .prefers_redis(cache)
        .prefers_invalidations(cache)
}
