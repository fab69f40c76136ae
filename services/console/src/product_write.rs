//! A change of a product's price through its strategy, as a client of the product API makes it.

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::board::Board;
use crate::record::{Record, TruthRow, WriteRecord, now_ms};

/// Sends the write, publishes it, and returns it. The status of a write without a response is 0.
pub(crate) async fn change_price(board: &Board, row: &TruthRow, price_cents: i64, cause: &'static str) -> WriteRecord {
    let upstreams = board.upstreams();
    let url = format!("{}/products/{}/{}", upstreams.product_api().url, row.strategy, row.id);
    let at_ms = now_ms();
    let answering = async {
        let answer = upstreams.client().put(url).json(&json!({ "price_cents": price_cents })).send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok::<_, reqwest::Error>((status, headers, answer.json::<Value>().await.unwrap_or_default()))
    };
    let (status, headers, body) = answering.await.unwrap_or_else(|_| (0, HeaderMap::new(), Value::Null));
    let committed = body["updated_at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    let write = WriteRecord {
        at_ms,
        id: format!("w{}", board.hub().number()),
        cause,
        strategy: Some(row.strategy),
        product_id: Some(row.id),
        version: body["version"].as_i64(),
        commit_ms: committed.map(|at| at.timestamp_millis().unsigned_abs()),
        acknowledged_ms: now_ms(),
        status,
        detail: effect(&headers),
        token: headers.get("x-consistency-token").and_then(|token| token.to_str().ok()).map(str::to_owned),
    };
    board.hub().emit(&Record::Write(write.clone()));
    write
}

/// Returns what a response says of the caches: `detail` of `Cache-Status`.
pub(crate) fn effect(headers: &HeaderMap) -> Option<String> {
    client::CacheStatus::of(headers).detail().map(str::to_owned)
}
