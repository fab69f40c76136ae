//! The writes that the page offers: each is a real request to a service, or a statement in the database.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use contract::STRATEGY_NAMES;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use service::http_metrics::resource;
use service::problem::{Body, Problem, RETRY_AFTER};
use utoipa::ToSchema;

use crate::board::Board;
use crate::faults::Faults;
use crate::hub::Hub;
use crate::product_write::{self, effect};
use crate::record::{Record, TruthRow, WriteRecord, now_ms};
use crate::stores::Database;
use crate::upstream::Upstreams;

/// The pause between two of several changes.
const BETWEEN: Duration = Duration::from_millis(120);
/// What a renamed category's name ends with.
const RENAMED: &str = " (renamed)";

/// What the actions need.
#[derive(Clone, Debug)]
pub(crate) struct Actions {
    pub(crate) hub: Hub,
    pub(crate) board: Board,
    pub(crate) upstreams: Upstreams,
    pub(crate) database: Database,
    pub(crate) faults: Faults,
}

/// How often a change is made.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Times {
    /// 1 to 10.
    #[serde(default = "once")]
    #[schema(minimum = 1, maximum = 10)]
    times: u32,
}

fn once() -> u32 {
    1
}

/// An action without parameters.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Mounts the routes.
pub(crate) fn configure(actions: &Data<Actions>, cfg: &mut ServiceConfig) {
    cfg.service(resource("/actions/change-price").app_data(actions.clone()).post(change_price))
        .service(resource("/actions/sql-write").app_data(actions.clone()).post(sql_write))
        .service(resource("/actions/rename-category").app_data(actions.clone()).post(rename_category))
        .service(resource("/actions/reset").app_data(actions.clone()).post(reset));
}

/// Changes the price of all seven products at the same time, each through its own strategy.
#[utoipa::path(post, path = "/actions/change-price", tag = "actions", request_body = Times,
    responses((status = 200, description = "The writes"), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn change_price(asked: Body<Times>, actions: Data<Actions>) -> Result<HttpResponse, Problem> {
    let Times { times } = asked.0;
    if !(1..=10).contains(&times) {
        return Err(Problem::invalid_field("times", "must be between 1 and 10"));
    }
    let mut writes = Vec::new();
    for round in 0..times {
        if round > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        let rows = actions.rows()?;
        // One new price for all, so that the seven rows can be compared.
        let price = rows.iter().map(|row| row.price_cents).max().unwrap_or_default() % 1_000_000 + 100;
        writes.extend(join_all(rows.iter().map(|row| actions.put(row, price, "change-price"))).await);
        actions.board.look();
        actions.until_seen(&writes).await;
    }
    Ok(HttpResponse::Ok().json(json!({ "writes": writes })))
}

/// Changes all seven rows with one SQL statement, behind the API's back.
#[utoipa::path(post, path = "/actions/sql-write", tag = "actions", request_body = Nothing,
    responses((status = 200, description = "The rows"), (status = 503, body = Problem)))]
pub(crate) async fn sql_write(_: Body<Nothing>, actions: Data<Actions>) -> Result<HttpResponse, Problem> {
    let rows = actions.rows()?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let changed = actions.database.raise_prices(&ids).await?;
    for (id, version) in &changed {
        actions.hub.emit(&Record::Write(WriteRecord {
            at_ms: now_ms(),
            id: format!("w{}", actions.hub.number()),
            cause: "sql",
            strategy: rows.iter().find(|row| row.id == *id).map(|row| row.strategy),
            product_id: Some(*id),
            version: Some(*version),
            commit_ms: Some(now_ms()),
            acknowledged_ms: now_ms(),
            status: 200,
            detail: None,
            token: None,
        }));
    }
    actions.board.look();
    let rows: Vec<Value> = changed.into_iter().map(|(id, version)| json!({ "id": id, "version": version })).collect();
    Ok(HttpResponse::Ok().json(json!({ "rows": rows })))
}

/// Renames the category of the seven products, or gives it its name back.
#[utoipa::path(post, path = "/actions/rename-category", tag = "actions", request_body = Nothing,
    responses((status = 200, description = "The new name"), (status = 503, body = Problem)))]
pub(crate) async fn rename_category(_: Body<Nothing>, actions: Data<Actions>) -> Result<HttpResponse, Problem> {
    let category = actions.rows()?[0].category.clone();
    let name = match category.name.strip_suffix(RENAMED) {
        Some(original) => original.to_owned(),
        None => format!("{}{RENAMED}", category.name),
    };
    actions.rename(category.id, &name, "rename-category").await?;
    Ok(HttpResponse::Ok().json(json!({ "name": name })))
}

/// Gives the products the prices, and their category the name, with which the console found them.
#[utoipa::path(post, path = "/actions/reset", tag = "actions", request_body = Nothing,
    responses((status = 200, description = "Done"), (status = 503, body = Problem)))]
pub(crate) async fn reset(_: Body<Nothing>, actions: Data<Actions>) -> Result<HttpResponse, Problem> {
    let (rows, originals) = (actions.rows()?, actions.board.originals());
    let writes = rows.iter().zip(&originals).filter(|(row, original)| row.price_cents != original.price_cents);
    join_all(writes.map(|(row, original)| actions.put(row, original.price_cents, "reset"))).await;
    if let (Some(row), Some(original)) = (rows.first(), originals.first()) {
        let name = original.category.name.trim_end_matches(RENAMED);
        if row.category.name != name {
            actions.rename(row.category.id, name, "reset").await?;
        }
    }
    actions.board.look();
    Ok(HttpResponse::Ok().json(json!({})))
}

impl Actions {
    fn rows(&self) -> Result<Vec<TruthRow>, Problem> {
        let rows = self.board.rows();
        if rows.len() == STRATEGY_NAMES.len() {
            return Ok(rows);
        }
        Err(Problem::overloaded(RETRY_AFTER, "The product API has not answered yet. Start the stack with `make up`."))
    }

    async fn put(&self, row: &TruthRow, price_cents: i64, cause: &'static str) -> WriteRecord {
        let write = product_write::change_price(&self.board, row, price_cents, cause).await;
        self.faults.saw_write(&write);
        write
    }

    async fn rename(&self, id: i64, name: &str, cause: &'static str) -> Result<(), Problem> {
        let url = format!("{}/categories/{id}", self.upstreams.product_api().url);
        let sent_ms = now_ms();
        let answer = self.upstreams.client().put(url).json(&json!({ "name": name })).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| Problem::unavailable(RETRY_AFTER, error))?;
        self.hub.emit(&Record::Write(WriteRecord {
            at_ms: sent_ms,
            id: format!("w{}", self.hub.number()),
            cause,
            strategy: None,
            product_id: None,
            version: None,
            commit_ms: Some(now_ms()),
            acknowledged_ms: now_ms(),
            status: answer.status().as_u16(),
            detail: effect(answer.headers()),
            token: None,
        }));
        self.board.look();
        Ok(())
    }

    /// Waits until the board shows these writes, so that the next change begins from them.
    async fn until_seen(&self, writes: &[WriteRecord]) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        let is_seen = || {
            let rows = self.board.rows();
            let shows = |write: &WriteRecord| {
                let row = rows.iter().find(|row| Some(row.id) == write.product_id);
                row.is_none_or(|row| write.version.is_none_or(|version| row.version >= version))
            };
            writes.iter().all(shows)
        };
        while !is_seen() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
