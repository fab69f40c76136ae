//! Load on the product API, for the plots: open-loop requests of all strategies, which end by themselves.

use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use client::traffic::{Order, Plan, ProductRange, Stream};
use contract::STRATEGY_NAMES;
use futures_util::future::join_all;
use reqwest::Client;
use serde::Deserialize;
use service::http_metrics::resource;
use service::problem::{Body, FieldError, Problem, RETRY_AFTER};
use tokio::task::LocalSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;
use utoipa::ToSchema;

use crate::hub::Hub;
use crate::reader::Tally;
use crate::record::{LoadRecord, Record};
use crate::upstream::Upstreams;

/// A load ends after this time.
const LENGTH: Duration = Duration::from_secs(300);
/// Products of each strategy. The seven products of the board are not among them.
const PRODUCTS: u64 = 100;
/// The id of the first of these products.
const FIRST: u64 = 1_001;
const MAX_RATE: f64 = 2_000.0;

/// The load that runs, if any.
#[derive(Debug)]
pub(crate) struct Load {
    hub: Hub,
    tally: Tally,
    base: String,
    client: Client,
    stop: CancellationToken,
    /// Dropping it ends the load.
    running: Mutex<Option<DropGuard>>,
}

/// The load that a page asks for.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadRequest {
    /// Requests in a second, of all strategies together; 0 ends the load.
    #[schema(minimum = 0.0, maximum = 2000.0)]
    rate: f64,
    /// The share of writes.
    #[schema(minimum = 0.0, maximum = 0.5)]
    mix: f64,
    /// The exponent of Zipf's law by which products are chosen; 0 for all alike.
    #[schema(minimum = 0.0, maximum = 1.5)]
    skew: f64,
}

impl Load {
    pub(crate) fn new(hub: Hub, tally: Tally, upstreams: &Upstreams, stop: CancellationToken) -> Data<Self> {
        hub.emit(&Record::Load(LoadRecord::default()));
        let (base, client) = (upstreams.product_api().url.clone(), upstreams.client().clone());
        Data::new(Self { hub, tally, base, client, stop, running: Mutex::default() })
    }

    /// Checks that the catalogue has the products that the load uses.
    async fn check_products(&self) -> Result<(), Problem> {
        let last = FIRST + PRODUCTS * STRATEGY_NAMES.len() as u64 - 1;
        let answer = self.client.get(format!("{}/products/{last}", self.base)).send().await;
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200) => Ok(()),
            Ok(404) => Err(Problem::conflict(format!("The load needs {last} products: SEED_PRODUCTS={last} make up."))),
            _ => Err(Problem::overloaded(
                RETRY_AFTER,
                "The product API does not answer. Start the stack with `make up`.",
            )),
        }
    }

    /// Replaces the load that runs.
    fn set(&self, asked: LoadRequest) {
        let stop = self.stop.child_token();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = None;
        let LoadRequest { rate, mix, skew } = asked;
        let state = LoadRecord { running: rate > 0.0, rate, mix, skew, ..LoadRecord::default() };
        self.hub.emit(&Record::Load(state.clone()));
        if rate > 0.0 {
            *running = Some(stop.clone().drop_guard());
            let (hub, tally, base) = (self.hub.clone(), self.tally.clone(), self.base.clone());
            // The streams share their state within one thread.
            let spawned = std::thread::Builder::new()
                .name("load".to_owned())
                .spawn(move || run(&hub, &tally, &base, state, &stop));
            if let Err(error) = spawned {
                warn!(%error, "no thread for the load");
            }
        }
    }
}

/// Sends the requests, and reports once a second what was achieved.
fn run(hub: &Hub, tally: &Tally, base: &str, mut state: LoadRecord, stop: &CancellationToken) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return warn!(%error, "no runtime for the load"),
    };
    let plan = Plan {
        rate: state.rate / STRATEGY_NAMES.len() as f64,
        writes: state.mix,
        order: Order::Zipf(state.skew),
        length: LENGTH,
    };
    let streams: Vec<Rc<Stream>> = (0..)
        .zip(STRATEGY_NAMES)
        .map(|(at, name)| {
            let (first, path) = (FIRST + at * PRODUCTS, format!("/products/{name}/"));
            Stream::new(
                &ProductRange { name: name.to_owned(), base: base.to_owned(), path, first, count: PRODUCTS },
                plan,
            )
        })
        .collect();
    let report = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut achieved = 0;
            for (at, stream) in streams.iter().enumerate() {
                let seen = stream.take();
                achieved += seen.reads.len() + seen.writes.len();
                state.failures += seen.failed + seen.given_up;
                tally.add(at, &seen);
            }
            state.achieved = achieved as f64;
            hub.emit(&Record::Load(state.clone()));
        }
    };
    let sending = join_all(streams.iter().map(|stream| Rc::clone(stream).run()));
    LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            _ = sending => {}
            () = report => {}
            () = stop.cancelled() => {}
        }
    });
    hub.emit(&Record::Load(LoadRecord { rate: state.rate, mix: state.mix, skew: state.skew, ..LoadRecord::default() }));
}

/// Mounts the route.
pub(crate) fn configure(load: &Data<Load>, cfg: &mut ServiceConfig) {
    cfg.service(resource("/load").app_data(load.clone()).put(set));
}

/// Starts, changes or ends the load. It ends by itself after five minutes.
#[utoipa::path(put, path = "/load", tag = "load", request_body = LoadRequest,
    responses((status = 204, description = "The load is as asked for"), (status = 422, body = Problem)))]
pub(crate) async fn set(asked: Body<LoadRequest>, load: Data<Load>) -> Result<HttpResponse, Problem> {
    let asked = asked.0;
    let limits = [("rate", asked.rate, MAX_RATE), ("mix", asked.mix, 0.5), ("skew", asked.skew, 1.5)];
    let wrong = limits.into_iter().filter(|(_, value, most)| !(0.0..=*most).contains(value));
    let wrong: Vec<_> =
        wrong.map(|(name, _, most)| FieldError::new(name, format!("must be between 0 and {most}"))).collect();
    if !wrong.is_empty() {
        return Err(Problem::invalid_fields(wrong));
    }
    if asked.rate > 0.0 {
        load.check_products().await?;
    }
    load.set(asked);
    Ok(HttpResponse::NoContent().finish())
}
