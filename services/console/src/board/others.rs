//! What the other services show of the seven products: one cart with all of them, a search for the name of each, and
//! the recommendations for the product next to it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Response, Url};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{Board, Observation};
use crate::record::{Column, TruthRow, now_ms};
use crate::upstream::Upstream;

/// The pause between two rounds of reads.
const EVERY: Duration = Duration::from_millis(500);

/// Reads the responses of the other services again and again, as long as a page is open.
pub(crate) async fn read_other_services(board: Board) {
    let cart = Mutex::default();
    board.0.hub.while_watched(|| read_all(&board, &cart)).await;
}

/// `cart` is the id of the console's cart.
async fn read_all(board: &Board, cart: &Mutex<Option<String>>) {
    let mut cart = cart.lock().await;
    loop {
        let rows = board.rows();
        let searches = join_all(rows.iter().map(|row| search(board, row)));
        let neighbours = rows.iter().zip(rows.iter().cycle().skip(1));
        let lists = join_all(neighbours.map(|(row, beside)| recommendation(board, row, beside)));
        futures_util::join!(read_cart(board, &rows, &mut cart), searches, lists);
        tokio::time::sleep(EVERY).await;
    }
}

async fn read_cart(board: &Board, rows: &[TruthRow], id: &mut Option<String>) {
    let shown = match board.0.upstreams.named("cart") {
        Some(cart) if !rows.is_empty() => cart_of(board, cart, rows, id).await,
        _ => return,
    };
    for row in rows {
        let seen = match &shown {
            Ok((lines, ttl)) => {
                let line = lines.as_array().and_then(|all| all.iter().find(|line| line["product_id"] == row.id));
                held(line, "product_version", *ttl)
            }
            Err(_) => {
                *id = None;
                Observation::Unknown("the cart does not answer")
            }
        };
        board.observe(row.strategy, Column::Cart, &seen, now_ms());
    }
}

/// Returns the lines of the console's cart, which it creates if necessary, and the remaining freshness of the view.
async fn cart_of(
    board: &Board, cart: &Upstream, rows: &[TruthRow], id: &mut Option<String>,
) -> anyhow::Result<(Value, Option<i64>)> {
    let client = board.0.upstreams.client();
    let id = match id {
        Some(id) => &*id,
        None => {
            let made: Value = client.post(format!("{}/carts", cart.url)).json(&json!({})).send().await?.json().await?;
            let made = made["id"].as_str().ok_or_else(|| anyhow::anyhow!("the new cart has no id"))?.to_owned();
            for row in rows {
                let item = format!("{}/carts/{made}/items/{}", cart.url, row.id);
                client.put(item).json(&json!({ "quantity": 1 })).send().await?.error_for_status()?;
            }
            &*id.insert(made)
        }
    };
    let answer = client.get(format!("{}/carts/{id}", cart.url)).send().await?.error_for_status()?;
    let ttl = ttl_ms(&answer);
    let is_unverified = client::cache_status(answer.headers()).contains("events-unverified");
    board.0.cart_is_unverified.store(is_unverified, Relaxed);
    let mut view: Value = answer.json().await?;
    Ok((view["lines"].take(), ttl))
}

async fn search(board: &Board, row: &TruthRow) {
    let Some(search) = board.0.upstreams.named("search") else { return };
    let find = async {
        let mut url = Url::parse(&format!("{}/search", search.url))?;
        url.query_pairs_mut().append_pair("q", &row.name).append_pair("limit", "20");
        let answer = board.0.upstreams.client().get(url).send().await?.error_for_status()?;
        let ttl = ttl_ms(&answer);
        let page: Value = answer.json().await?;
        let hit = page["hits"].as_array().and_then(|hits| hits.iter().find(|hit| hit["id"] == row.id));
        anyhow::Ok(held(hit, "version", ttl))
    };
    let seen = find.await.unwrap_or(Observation::Unknown("the search does not answer"));
    board.observe(row.strategy, Column::Search, &seen, now_ms());
}

async fn recommendation(board: &Board, row: &TruthRow, beside: &TruthRow) {
    let Some(service) = board.0.upstreams.named("recommendation") else { return };
    let find = async {
        let answer = board.0.upstreams.get(service, &format!("/recommendations/{}", beside.id)).send().await?;
        let answer = answer.error_for_status()?;
        let ttl = ttl_ms(&answer);
        let lists: Value = answer.json().await?;
        let all = ["bought_together", "similar"].into_iter().filter_map(|list| lists[list].as_array()).flatten();
        let shown = all.into_iter().find(|shown| shown["product_id"] == row.id);
        anyhow::Ok(held(shown, "version", ttl))
    };
    let seen = find.await.unwrap_or(Observation::Unknown("the recommendation service does not answer"));
    board.observe(row.strategy, Column::Recommendation, &seen, now_ms());
}

fn held(shown: Option<&Value>, version: &str, ttl_ms: Option<i64>) -> Observation {
    let Some(shown) = shown else { return Observation::Absent(Some("not shown by this response")) };
    Observation::Held {
        version: shown[version].as_i64(),
        price_cents: shown["price_cents"].as_i64(),
        ttl_ms,
        expires_at_ms: ttl_ms.map(|ttl| now_ms().saturating_add_signed(ttl)),
        refreshing: ttl_ms.is_some_and(|ttl| ttl < 0),
    }
}

/// Returns the remaining freshness that `Cache-Status` reports, in ms.
fn ttl_ms(answer: &Response) -> Option<i64> {
    let status = client::cache_status(answer.headers());
    let ttl = status.split(';').find_map(|part| part.trim().strip_prefix("ttl="))?;
    ttl.parse::<i64>().ok().map(|seconds| seconds * 1_000)
}
