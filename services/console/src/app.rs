//! The running console: its start, its routes and its stop.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Resource};
use anyhow::Context;
use contract::STRATEGIES;
use serde_json::{Value, json};
use service::StandardRoutes;
use service::docs::{self, Docs};
use service::health::Readiness;
use service::http_metrics::resource;
use service::operations::OperationsAccess;
use service::process::Program;
use service::settings::ServiceSettings as _;
use service::telemetry::Metrics;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::access::{Access, guard};
use crate::actions::{self, Actions};
use crate::board::{Board, follow_feed, follow_truth, inspect_entries, read_other_services};
use crate::experiments::{self, Experiments};
use crate::faults::{self, Faults};
use crate::health::watch_service;
use crate::hub::Hub;
use crate::load::{self, Load};
use crate::published::follow_channel;
use crate::reader::{Reader, Tally, publish_figures};
use crate::settings::Settings;
use crate::stores::{Database, RedisAdmin};
use crate::upstream::Upstreams;
use crate::{explain, gateway, live, page};

/// How long a stop waits for faults to be undone.
const UNDO: Duration = Duration::from_secs(3);

/// The console.
#[derive(Debug)]
pub struct App;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Console",
        description = "The actions of the live page. `/live` is a stream of server-sent events; `/api/{service}/…` forwards to the services."
    ),
    paths(
        actions::change_price, actions::sql_write, actions::rename_category, actions::reset, experiments::stampede,
        experiments::race, load::set, faults::list, faults::begin, faults::end, explain::explain,
    )
)]
struct ApiDoc;

impl Program for App {
    const NAME: &'static str = "console";
    type Settings = Settings;

    fn openapi() -> OpenApi {
        docs::complete(ApiDoc::openapi())
    }

    async fn run(
        listener: TcpListener, settings: Settings, metrics: Metrics, shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let common = settings.common();
        let access = OperationsAccess::load(&common.operations, &listener)?;
        let upstreams = Upstreams::new(&settings, access.token())?;
        let (hub, tally) = (Hub::default(), Tally::default());
        let board = Board::new(hub.clone(), upstreams.clone());
        let database = Database::new(&settings.postgres.url);
        let redis = RedisAdmin::new(&settings.redis_admin.url).context("REDIS_ADMIN__URL")?;
        let is_enabled = settings.faults.enabled;
        let faults = Faults::new(is_enabled, &board, redis.clone(), database.clone(), shutdown.clone());
        faults.publish();
        let load = Load::new(hub.clone(), tally.clone(), &upstreams, shutdown.clone());
        let experiments = Experiments::new(hub.clone(), upstreams.clone(), redis.clone(), shutdown.clone());
        let actions = Data::new(Actions {
            hub: hub.clone(),
            board: board.clone(),
            upstreams: upstreams.clone(),
            database: database.clone(),
            faults: faults.clone(),
        });
        spawn_watchers(&hub, &board, &upstreams, &tally, &faults, redis);
        let undo = faults.clone();
        tokio::spawn(async move {
            if let Err(error) = undo.undo_all().await {
                warn!(error = format!("{error:#}"), "faults of an earlier console could not be undone");
            }
        });
        let standard = StandardRoutes {
            readiness: Readiness::new(shutdown.clone()),
            metrics,
            docs: Docs::new(&Self::openapi()).context("the API's description")?,
        };
        let config =
            PageConfig { board: board.clone(), upstreams: upstreams.clone(), database, faults: faults.clone() };
        let (rule, assets, stop) =
            (Data::new(Access::new(&settings.access)), settings.assets.clone(), shutdown.clone());
        info!(address = %listener.local_addr()?, "the console is ready");
        let (running, permits) = (faults.clone(), gateway::permits());
        let served = service::server::serve(listener, &common.http, shutdown, move |cfg| {
            access.configure(cfg);
            standard.configure(cfg);
            let page =
                web::scope("").app_data(rule.clone()).wrap(from_fn(guard)).configure(|cfg: &mut ServiceConfig| {
                    page::configure(&assets, cfg);
                    live::configure(&hub, &stop, cfg);
                    gateway::configure(&upstreams, &permits, cfg);
                    actions::configure(&actions, cfg);
                    experiments::configure(&experiments, cfg);
                    load::configure(&load, cfg);
                    faults::configure(&faults, cfg);
                    explain::configure(cfg);
                    cfg.service(config.resource());
                });
            cfg.service(page);
        });
        served.await?;
        if timeout(UNDO, running.ended()).await.is_err() {
            warn!("faults are still in effect; the next start of the console undoes them");
        }
        info!("the console has stopped");
        Ok(())
    }
}

/// Starts the tasks that watch the stack while a page is open. They end with the process: they hold nothing.
fn spawn_watchers(hub: &Hub, board: &Board, upstreams: &Upstreams, tally: &Tally, faults: &Faults, redis: RedisAdmin) {
    for upstream in upstreams.all() {
        tokio::spawn(watch_service(hub.clone(), upstreams.clone(), upstream.clone()));
        tokio::spawn(follow_feed(board.clone(), upstream.clone()));
    }
    tokio::spawn(follow_truth(board.clone()));
    tokio::spawn(inspect_entries(board.clone()));
    tokio::spawn(read_other_services(board.clone()));
    tokio::spawn(publish_figures(hub.clone(), tally.clone()));
    tokio::spawn(follow_channel(hub.clone(), board.clone(), redis));
    let (hub, board, upstreams, tally, faults) =
        (hub.clone(), board.clone(), upstreams.clone(), tally.clone(), faults.clone());
    tokio::spawn(Reader { hub, board, upstreams, tally, faults }.run());
}

/// What the page needs to know at its start.
#[derive(Clone, Debug)]
struct PageConfig {
    board: Board,
    upstreams: Upstreams,
    database: Database,
    faults: Faults,
}

impl PageConfig {
    fn resource(&self) -> Resource {
        resource("/config.json").app_data(Data::new(self.clone())).get(config)
    }
}

async fn config(config: Data<PageConfig>) -> HttpResponse {
    let rows = config.board.rows();
    let strategies: Vec<Value> = STRATEGIES
        .iter()
        .map(|strategy| {
            let (name, number) = (strategy.name, strategy.number);
            json!({ "name": name, "number": number, "title": strategy.title(), "summary": strategy.summary() })
        })
        .collect();
    let products: Vec<Value> =
        rows.iter().map(|row| json!({ "strategy": row.strategy, "id": row.id, "name": row.name })).collect();
    HttpResponse::Ok().json(json!({
        "strategies": strategies,
        "services": config.upstreams.all(),
        "products": products,
        "category": rows.first().map(|row| &row.category),
        "faults_enabled": config.faults.is_enabled(),
        "sql_enabled": config.database.is_known(),
        "start_hint": "make up",
    }))
}
