//! The entries of the seven products: in Redis, and in the memory of each process of the product API.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde::Deserialize;

use super::{Board, Observation};
use crate::record::{Column, TruthRow, now_ms};
use crate::upstream::Upstream;

/// The interval between two looks, unless a change is known sooner.
const EVERY: Duration = Duration::from_millis(250);
/// How long a look waits for further changes.
const GATHER: Duration = Duration::from_millis(3);
/// Strategies whose policy can have a near cache: for the others, its cells say so.
const NEAR: [&str; 3] = ["ttl", "swr", "production"];

#[derive(Deserialize)]
struct Entry {
    state: String,
    version: Option<i64>,
    ttl_ms: Option<i64>,
    expires_in_ms: i64,
}

#[derive(Deserialize)]
struct NearEntry {
    version: Option<i64>,
    ttl_ms: i64,
    is_servable: bool,
}

/// Looks at the entries again and again, as long as a page is open.
pub(crate) async fn inspect_entries(board: Board) {
    board.0.hub.while_watched(|| inspect_all(&board)).await;
}

async fn inspect_all(board: &Board) {
    loop {
        let rows = board.rows();
        join_all(rows.iter().map(|row| inspect(board, row))).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = board.0.entries_due.notified() => tokio::time::sleep(GATHER).await,
        }
    }
}

async fn inspect(board: &Board, row: &TruthRow) {
    let upstreams = board.0.upstreams.clone();
    let processes: Vec<&Upstream> = upstreams.product_apis().collect();
    let near = processes.into_iter().map(|process| inspect_memory(board, row, process));
    futures_util::join!(inspect_redis(board, row), join_all(near));
}

async fn inspect_redis(board: &Board, row: &TruthRow) {
    let upstreams = &board.0.upstreams;
    let path = format!("/cache/stats/product:{}:{}", row.strategy, row.id);
    let asked = now_ms();
    let seen = match upstreams.get(upstreams.product_api(), &path).send().await {
        Ok(answer) if answer.status() == StatusCode::OK => match answer.json::<Entry>().await {
            Ok(entry) if entry.state == "leased" => Observation::Loading,
            Ok(entry) if entry.state == "absent" => Observation::Absent(Some("stored as not found")),
            Ok(entry) => Observation::Held {
                version: entry.version,
                price_cents: None,
                ttl_ms: entry.ttl_ms,
                expires_at_ms: Some(asked.saturating_add_signed(entry.ttl_ms.unwrap_or(entry.expires_in_ms))),
                refreshing: entry.state != "fresh",
            },
            Err(_) => Observation::Unknown("the answer cannot be read"),
        },
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Observation::Absent(None),
        Ok(_) => Observation::Unknown("Redis does not answer"),
        Err(_) => Observation::Unknown("the product API does not answer"),
    };
    board.observe(row.strategy, Column::Redis, &seen, now_ms());
}

async fn inspect_memory(board: &Board, row: &TruthRow, process: &Upstream) {
    let column = if process.replica == 1 { Column::Near1 } else { Column::Near2 };
    let seen = if NEAR.contains(&row.strategy) {
        let path = format!("/cache/near/product:{}:{}", row.strategy, row.id);
        let asked = now_ms();
        match board.0.upstreams.get(process, &path).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => match answer.json::<NearEntry>().await {
                Ok(entry) if !entry.is_servable => Observation::Absent(Some("held, but not served")),
                Ok(entry) => Observation::Held {
                    version: entry.version,
                    price_cents: None,
                    ttl_ms: Some(entry.ttl_ms),
                    expires_at_ms: Some(asked.saturating_add_signed(entry.ttl_ms)),
                    refreshing: entry.ttl_ms < 0,
                },
                Err(_) => Observation::Unknown("the answer cannot be read"),
            },
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Observation::Absent(None),
            Ok(_) | Err(_) => Observation::Unknown("the process does not answer"),
        }
    } else {
        Observation::Absent(Some("not used by this strategy"))
    };
    board.observe(row.strategy, column, &seen, now_ms());
}
