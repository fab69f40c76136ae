//! The feeds of the services, merged into `/live`; each is followed over one connection, and resumed after it is lost.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt as _;
use serde_json::Value;
use tracing::debug;

use super::{Board, Observation, parse_key};
use crate::record::{Column, Record, now_ms};
use crate::upstream::Upstream;

/// The pause before the next attempt to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// A feed sends at least a comment every ten seconds.
const SILENCE: Duration = Duration::from_secs(25);
/// The longest record.
const LONGEST: usize = 256 * 1024;

/// Follows the feed of a process, as long as a page is open.
pub(crate) async fn follow_feed(board: Board, upstream: Upstream) {
    board.0.hub.while_watched(|| follow(&board, &upstream)).await;
}

async fn follow(board: &Board, upstream: &Upstream) {
    let mut last_id = String::new();
    loop {
        if let Err(error) = read_feed(board, upstream, &mut last_id).await {
            debug!(service = upstream.name, error = format!("{error:#}"), "the feed ended");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read_feed(board: &Board, upstream: &Upstream, last_id: &mut String) -> Result<()> {
    let request = board.0.upstreams.stream(upstream, "/cache/feed").header("last-event-id", last_id.as_str());
    let mut body = request.send().await?.error_for_status()?.bytes_stream();
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let part = tokio::time::timeout(SILENCE, body.next()).await.context("the feed is silent")?;
        let Some(part) = part else { return Ok(()) };
        rest.extend_from_slice(&part?);
        anyhow::ensure!(rest.len() < LONGEST, "a record is too long");
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        for line in String::from_utf8_lossy(&rest[..end]).lines() {
            if let Some(id) = line.strip_prefix("id: ") {
                id.clone_into(last_id);
            } else if let Some(data) = line.strip_prefix("data: ") {
                take(board, upstream, serde_json::from_str(data)?);
            }
        }
        rest.drain(..=end);
    }
}

/// Applies a record to the board, and forwards it if it is about the seven products, or about events.
fn take(board: &Board, upstream: &Upstream, record: Value) {
    let (kind, at_ms) = (record["kind"].as_str().unwrap_or_default(), record["at_ms"].as_u64().unwrap_or_else(now_ms));
    let is_relevant = match kind {
        "invalidate" => invalidated(board, upstream, &record, at_ms),
        "event" | "lagged" => true,
        "begin" => false,
        _ => about_entry(board, upstream, kind, &record, at_ms),
    };
    if is_relevant {
        board.0.hub.emit(&Record::Feed { service: upstream.name, record });
    }
}

fn invalidated(board: &Board, upstream: &Upstream, record: &Value, at_ms: u64) -> bool {
    // A soft invalidation removes nothing, and a deferred one has removed nothing yet.
    let removes = record["soft"] != true && !record["entries"].is_null();
    let names = |list: &str| -> Vec<String> {
        let all = record[list].as_array().into_iter().flatten();
        all.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (keys, tags, everything) = (names("keys"), names("tags"), record["everything"] == true);
    let mut is_relevant = everything;
    for row in board.rows() {
        let (product, category) = (format!("product:{}", row.id), format!("category:{}", row.category.id));
        let has_tag = tags.iter().any(|tag| *tag == product || *tag == category);
        let has_key = keys.iter().any(|key| parse_key(key) == Some((row.strategy, row.id)));
        is_relevant |= has_tag || has_key;
        let column = match upstream.name.trim_end_matches("-2") {
            "cart" => Column::Cart,
            "search" => Column::Search,
            "recommendation" => Column::Recommendation,
            _ => {
                if has_key && removes {
                    board.observe(row.strategy, Column::Redis, &Observation::Absent(None), at_ms);
                } else if has_tag && removes {
                    // Tags remove entries of some strategies only: the look at Redis finds out.
                    board.tag_invalidated(row.strategy, at_ms);
                }
                continue;
            }
        };
        if removes && (everything || has_tag) {
            board.observe(row.strategy, column, &Observation::Absent(None), at_ms);
        }
    }
    if is_relevant {
        board.0.entries_due.notify_one();
    }
    is_relevant
}

fn about_entry(board: &Board, upstream: &Upstream, kind: &str, record: &Value, at_ms: u64) -> bool {
    let key = record["key"].as_str().unwrap_or_default();
    let Some((strategy, id)) = parse_key(key) else {
        return !upstream.name.starts_with("product-api") && matches!(kind, "fill" | "refused");
    };
    if board.row(strategy).is_none_or(|row| row.id != id) {
        return false;
    }
    if kind == "fill" {
        let ttl_ms = record["ttl_ms"].as_i64();
        let seen = Observation::Held {
            version: record["version"].as_i64(),
            price_cents: None,
            ttl_ms,
            expires_at_ms: ttl_ms.map(|ttl| at_ms.saturating_add_signed(ttl)),
            refreshing: false,
        };
        board.observe(strategy, Column::Redis, &seen, at_ms);
        board.0.entries_due.notify_one();
    }
    true
}
