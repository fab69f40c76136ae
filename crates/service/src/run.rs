//! Runs a service: its start, its routes, its drain and its stop.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use anyhow::Context;
use cache::{CacheClient, Keyspace};
use database::{Pool, PostgresSettings};
use diesel_migrations::EmbeddedMigrations;
use redis_connect::RedisAddress;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use utoipa::openapi::OpenApi;

use crate::docs::{self, Docs};
use crate::health::Readiness;
use crate::incarnation::{self, DatabaseRecord};
use crate::operations::OperationsAccess;
use crate::settings::ServiceSettings;
use crate::standard_routes::StandardRoutes;
use crate::telemetry::Metrics;
use crate::{cache_routes, server};

/// The longest time that a start waits for Postgres.
const DATABASE_WAIT: Duration = Duration::from_secs(60);
/// The least time that a stop allows after the last request.
const MIN_SHUTDOWN: Duration = Duration::from_millis(500);

/// What differs from one service to the next. A value holds the running parts: the tasks, and what the handlers share.
///
/// ```text
/// settings ─ cache ─ start ─ accept requests ─ usable ─ … ─ SIGTERM ─ drain ─ stop
/// ```
pub trait Service: Sized {
    /// The name of the binary, of the sessions in the database, and in `Cache-Status`.
    const NAME: &'static str;
    /// The subject of log messages: "the cart service".
    const TITLE: &'static str;
    /// The keyspace in Redis.
    const KEYSPACE: &'static str;

    /// The settings of the service.
    type Settings: ServiceSettings;

    /// Returns the description of the service's own routes.
    fn openapi() -> OpenApi;

    /// Connects to the other stores, and starts the tasks.
    ///
    /// # Errors
    /// Returns an error that begins with the name of the setting at fault.
    fn start(settings: &Self::Settings, context: StartContext<'_>) -> impl Future<Output = anyhow::Result<Self>>;

    /// Adds the service's own checks to `readiness`, which checks Redis and the deferred invalidations.
    fn readiness(&self, readiness: Readiness) -> Readiness;

    /// Waits until the service can answer requests for the first time. A service without an override can at once.
    fn usable(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }

    /// Returns the function that mounts the service's own routes. It runs once per worker.
    fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static;

    /// Stops the tasks and closes the cache ([`shut_down_cache`]) after the last request. At `deadline`, what is
    /// unfinished is dropped.
    fn stop(self, deadline: Instant) -> impl Future<Output = ()>;
}

/// What a start receives.
#[derive(Debug)]
pub struct StartContext<'a> {
    /// The service's cache.
    pub cache: CacheClient,
    /// How other clients reach its Redis.
    pub redis: RedisAddress,
    /// The token that this process sends to the operations routes of other services.
    pub token: Option<&'a str>,
    /// Cancelled when the service is to stop.
    pub shutdown: CancellationToken,
    name: &'static str,
    /// Whether the database has the record of the trusted incarnation.
    is_trusting: bool,
}

impl StartContext<'_> {
    /// Waits for Postgres, applies the missing migrations, one set after the other, and opens the pool.
    ///
    /// # Errors
    /// Returns an error if Postgres cannot be used within a minute, or if a migration fails.
    pub async fn open_database(
        &self, settings: &PostgresSettings, migrations: impl Into<Vec<EmbeddedMigrations>>,
    ) -> anyhow::Result<Pool> {
        let mut migrations = migrations.into();
        migrations.extend(self.is_trusting.then_some(incarnation::MIGRATIONS));
        database::migrate(settings, migrations, DATABASE_WAIT).await.context("POSTGRES__URL")?;
        database::connect(settings, self.name, DATABASE_WAIT).await.context("POSTGRES__URL")
    }
}

pub(crate) fn openapi<S: Service>() -> OpenApi {
    let mut openapi = S::openapi();
    openapi.merge(cache_routes::description(S::KEYSPACE));
    docs::complete(openapi)
}

/// Serves until `shutdown`, then completes the requests in flight within the grace time.
///
/// # Errors
/// Returns an error if a setting names an unusable server or file, or if the listener fails.
pub(crate) async fn run<S: Service>(
    listener: TcpListener, settings: S::Settings, metrics: Metrics, shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let common = settings.common();
    let access = OperationsAccess::load(&common.operations, &listener)?;
    let start = async {
        // First the cache: settings that it refuses are reported before the wait for Postgres.
        let redis = RedisAddress::parse(&common.redis.url).context("REDIS__URL")?;
        let keyspace = Keyspace::for_redis(S::KEYSPACE, &redis)?;
        if redis.is_cluster() {
            info!("REDIS__URL leads to a cluster: no entry is kept in the memory of this process");
        }
        let is_trusting = common.incarnation.trusted;
        let cache = match settings.postgres().filter(|_| is_trusting) {
            Some(postgres) => {
                let record = Arc::new(DatabaseRecord::new(S::KEYSPACE, S::NAME, postgres));
                CacheClient::connect_trusting(keyspace, &common.redis, record).await
            }
            None => CacheClient::connect_with(keyspace, &common.redis).await,
        };
        let cache = cache.context("REDIS__URL")?;
        let (token, shutdown) = (access.token(), shutdown.clone());
        let context = StartContext { cache: cache.clone(), redis, token, shutdown, name: S::NAME, is_trusting };
        anyhow::Ok((S::start(&settings, context).await?, cache))
    };
    let (service, cache) = tokio::select! {
        started = start => started?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let readiness = Readiness::new(shutdown.clone()).prefers_redis(&cache).prefers_invalidations(&cache);
    let standard = StandardRoutes {
        readiness: service.readiness(readiness),
        metrics,
        docs: Docs::new(&openapi::<S>()).context("the API's description")?,
    };
    // The server accepts requests from now on. /readyz reports whether they can be answered.
    let address = listener.local_addr()?;
    info!(%address, "{} accepts connections", S::TITLE);
    let usable = service.usable();
    let announcement = tokio::spawn(async move {
        usable.await;
        info!(%address, "{} is ready", S::TITLE);
    });
    let (routes, stopping) = (service.routes(), shutdown.clone());
    let deadline = async {
        stopping.cancelled().await;
        Ok(Instant::now() + common.http.grace)
    };
    let served = server::serve(listener, &common.http, shutdown, move |cfg| {
        access.configure(cfg);
        routes(cfg);
        cache_routes::configure(&cache, cfg);
        standard.configure(cfg);
    });
    let ((), deadline) = tokio::try_join!(served, deadline)?;

    announcement.abort();
    let deadline = deadline.max(Instant::now() + MIN_SHUTDOWN);
    match timeout_at(deadline, service.stop(deadline)).await {
        Ok(()) => info!("{} has stopped", S::TITLE),
        Err(_) => warn!("the grace period is over; unfinished work is dropped"),
    }
    Ok(())
}

/// The part of the grace period that is reserved for closing the connection to Redis.
const CLOSING: Duration = Duration::from_millis(100);

/// Closes `cache`, after its deferred invalidations have succeeded, or shortly before `deadline`. Remaining
/// invalidations are logged together with their consequence, which `pending_note` states.
pub async fn shut_down_cache(cache: &CacheClient, deadline: Instant, pending_note: &'static str) {
    let grace = deadline.saturating_duration_since(Instant::now()).saturating_sub(CLOSING);
    let pending = cache.shutdown(grace).await;
    if pending > 0 {
        warn!(pending, "the grace period is over; deferred invalidations {pending_note}");
    }
}
