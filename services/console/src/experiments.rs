//! Two experiments on the running stack, our strategies beside naive cache-aside: the stampede and the stale-fill race.

mod naive;
mod race;
mod stampede;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use service::http_metrics::resource;
use service::problem::{Body, Problem};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::hub::Hub;
use crate::record::{Record, TaskRecord, TaskState};
use crate::stores::RedisAdmin;
use crate::upstream::Upstreams;

/// What the experiments need.
#[derive(Clone, Debug)]
pub(crate) struct Experiments {
    pub(crate) hub: Hub,
    pub(crate) upstreams: Upstreams,
    pub(crate) redis: RedisAdmin,
    pub(crate) stop: CancellationToken,
    is_running: Arc<AtomicBool>,
}

/// The size of a stampede.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Readers {
    /// 2 to 1000.
    #[schema(minimum = 2, maximum = 1000)]
    readers: usize,
}

/// The length of a race.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trials {
    /// 1 to 200.
    #[schema(minimum = 1, maximum = 200)]
    trials: u32,
}

impl Experiments {
    pub(crate) fn new(hub: Hub, upstreams: Upstreams, redis: RedisAdmin, stop: CancellationToken) -> Self {
        Self { hub, upstreams, redis, stop, is_running: Arc::default() }
    }

    /// Runs an experiment in the background; its state and its result are records of `/live`.
    fn start(
        &self, name: &'static str, run: impl Future<Output = anyhow::Result<Value>> + Send + 'static,
    ) -> Result<(), Problem> {
        if self.is_running.swap(true, SeqCst) {
            return Err(Problem::conflict("An experiment is running. Wait until it has ended."));
        }
        let this = self.clone();
        tokio::spawn(async move {
            this.report(name, TaskState::Running, 0.0, None, None);
            let ended = tokio::select! {
                ended = run => ended,
                () = this.stop.cancelled() => Err(anyhow::anyhow!("the console stops")),
            };
            this.is_running.store(false, SeqCst);
            match ended {
                Ok(result) => this.report(name, TaskState::Done, 1.0, Some(result), None),
                Err(error) => this.report(name, TaskState::Failed, 1.0, None, Some(format!("{error:#}"))),
            }
        });
        Ok(())
    }

    fn report(
        &self, name: &'static str, state: TaskState, progress: f64, result: Option<Value>, error: Option<String>,
    ) {
        self.hub.emit(&Record::Task(TaskRecord { name, state, progress, result, error }));
    }

    /// Removes an entry of the product API, so that the next read finds none.
    async fn remove(&self, key: &str) -> anyhow::Result<()> {
        let (path, api) = ("/cache/invalidations", self.upstreams.product_api());
        let request = self.upstreams.client().post(format!("{}{path}", api.url)).headers(self.upstreams.operator(path));
        request.json(&json!({ "keys": [key] })).send().await?.error_for_status()?;
        Ok(())
    }
}

/// Mounts the routes.
pub(crate) fn configure(experiments: &Experiments, cfg: &mut ServiceConfig) {
    let experiments = Data::new(experiments.clone());
    cfg.service(resource("/actions/stampede").app_data(experiments.clone()).post(stampede))
        .service(resource("/actions/race").app_data(experiments).post(race));
}

/// Lets many readers ask for one missing entry at the same time.
#[utoipa::path(post, path = "/actions/stampede", tag = "experiments", request_body = Readers,
    responses((status = 202, description = "It runs; `/live` has its result"), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn stampede(asked: Body<Readers>, experiments: Data<Experiments>) -> Result<HttpResponse, Problem> {
    let Readers { readers } = asked.0;
    if !(2..=1000).contains(&readers) {
        return Err(Problem::invalid_field("readers", "must be between 2 and 1000"));
    }
    experiments.start("stampede", stampede::run(Experiments::clone(&experiments), readers))?;
    Ok(HttpResponse::Accepted().finish())
}

/// Repeats the stale-fill race: readers and a writer of one missing entry, then no traffic.
#[utoipa::path(post, path = "/actions/race", tag = "experiments", request_body = Trials,
    responses((status = 202, description = "It runs; `/live` has its result"), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn race(asked: Body<Trials>, experiments: Data<Experiments>) -> Result<HttpResponse, Problem> {
    let Trials { trials } = asked.0;
    if !(1..=200).contains(&trials) {
        return Err(Problem::invalid_field("trials", "must be between 1 and 200"));
    }
    experiments.start("race", race::run(Experiments::clone(&experiments), trials))?;
    Ok(HttpResponse::Accepted().finish())
}
