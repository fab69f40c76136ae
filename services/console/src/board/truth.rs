//! The seven products as the database has them, read past every cache.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use contract::STRATEGY_NAMES;
use contract::product_api::{Product, ProductApi, ProductPage};
use tracing::debug;

use super::Board;
use crate::record::{Category, TruthRow};

/// The interval between two looks, unless a change is known sooner.
const EVERY: Duration = Duration::from_millis(250);
/// The pause after a look that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Products among which the seven are chosen.
const CANDIDATES: u32 = 200;

/// Reads the seven rows again and again, as long as a page is open.
pub(crate) async fn follow_truth(board: Board) {
    board.0.hub.while_watched(|| follow(&board)).await;
}

async fn follow(board: &Board) {
    loop {
        let began = Instant::now();
        let looked = look(board).await;
        board.0.look_ms.store(began.elapsed().as_millis() as u64, Relaxed);
        let wait = match looked {
            Ok(()) => EVERY,
            Err(error) => {
                // The page shows which service does not answer.
                debug!(%error, "the products cannot be read");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = board.0.truth_due.notified() => {}
        }
    }
}

async fn look(board: &Board) -> anyhow::Result<()> {
    let upstreams = &board.0.upstreams;
    let api = ProductApi::new(&upstreams.product_api().url, upstreams.client().clone());
    let known = board.rows();
    let products = if known.is_empty() {
        choose(board).await?
    } else {
        let ids: Vec<i64> = known.iter().map(|row| row.id).collect();
        let mut found = api.products(&ids).await?;
        found.sort_by_key(|product| ids.iter().position(|id| *id == product.id));
        found
    };
    anyhow::ensure!(products.len() == STRATEGY_NAMES.len(), "the catalogue has {} of the products", products.len());
    board.set_rows(STRATEGY_NAMES.into_iter().zip(products).map(row).collect());
    Ok(())
}

/// Chooses the first products of the first category that has enough.
async fn choose(board: &Board) -> anyhow::Result<Vec<Product>> {
    let upstreams = &board.0.upstreams;
    let request = upstreams.get(upstreams.product_api(), &format!("/products?limit={CANDIDATES}"));
    let page: ProductPage = request.send().await?.error_for_status()?.json().await?;
    let of = |category| page.products.iter().filter(move |product: &&Product| product.category.id == category);
    let enough =
        page.products.iter().map(|product| product.category.id).find(|id| of(*id).count() >= STRATEGY_NAMES.len());
    let category = enough.ok_or_else(|| anyhow::anyhow!("no category has {} products", STRATEGY_NAMES.len()))?;
    Ok(of(category).take(STRATEGY_NAMES.len()).cloned().collect())
}

fn row((strategy, product): (&'static str, Product)) -> TruthRow {
    TruthRow {
        strategy,
        id: product.id,
        name: product.name,
        version: product.version,
        price_cents: product.price_cents,
        updated_at_ms: product.updated_at.timestamp_millis().unsigned_abs(),
        category: Category { id: product.category.id, name: product.category.name },
    }
}
