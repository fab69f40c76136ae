//! Learning from baskets what is bought together.
//!
//! When baskets have changed, and at most every `LEARNING__EVERY`, the learner counts all pairs again, and updates the
//! rows of the table `together` whose score has changed. Then it invalidates the lists that use a changed row. Between
//! two runs a list stays as it is, however many carts are filled, and it is the same on every replica.
//!
//! A full count is better than incremental counts: a score depends on the number of all baskets, so one new cart
//! changes every score a little, and a wrong incremental count would stay wrong. The full count takes 0.5 s for 100,000
//! lines, in the background.

mod association;
mod llr;

pub use llr::Counts;

use std::collections::HashMap;
use std::time::Duration;

use cache::{CacheClient, Invalidation};
use database::{Pool, Transaction, sql};
use diesel::sql_types::{BigInt, Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use metrics::{gauge, histogram};
use outbox::RecurringFailure;
use serde::Deserialize;
use service::events::require_invalidated;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::error::RecommendationError;
use crate::keys;
use association::{Association, best, write};

/// The key of the advisory lock. Any number works that no other lock in the database uses.
const LOCK: i64 = 0x6c65_6172_6e69_6e67;

/// The statement timeout of learning.
const STATEMENT: Duration = Duration::from_secs(60);

/// The pause after a successful run is at least this many times as long as the run, so learning takes at most a tenth of
/// the time. A failed run may only have waited for Postgres; the pause after it is at least as long as the run.
const SHARE: u32 = 10;

/// The settings of learning. The `[learning]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningSettings {
    /// The minimum interval between two runs.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// The minimum number of baskets that contain both products.
    pub min_support: u32,
    /// The minimum root of the log-likelihood ratio; 3.3 is a probability of 0.001.
    pub least_score: f64,
}

/// The task that learns from baskets.
#[derive(Clone, Debug)]
pub struct Learner {
    pool: Pool,
    cache: CacheClient,
    settings: LearningSettings,
}

#[derive(diesel::QueryableByName)]
struct Pair {
    #[diesel(sql_type = BigInt)]
    first: i64,
    #[diesel(sql_type = BigInt)]
    second: i64,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(diesel::QueryableByName)]
struct EventProgress {
    #[diesel(sql_type = BigInt)]
    changes: i64,
    #[diesel(sql_type = BigInt)]
    learned: i64,
}

/// The number of runs that may fail one after the other for a temporary reason before a warning.
const MAX_SILENT_RETRIES: u32 = 3;

#[derive(diesel::QueryableByName)]
struct LockRow {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Sets the metric that shows whether baskets wait to be learned from or lists to be invalidated.
pub(crate) fn pending(is_pending: bool) {
    gauge!("recommendation_learning_pending").set(f64::from(u8::from(is_pending)));
}

impl Learner {
    /// Creates a learner for the baskets in the database of `pool`.
    pub fn new(pool: Pool, cache: CacheClient, settings: LearningSettings) -> Self {
        Self { pool, cache, settings }
    }

    /// Runs learning forever.
    pub async fn learn(&self) {
        let failure = RecurringFailure::new(
            "baskets", "learning from the baskets fails", "learning from the baskets works again",
        );
        let mut retries = 0;
        loop {
            let began = Instant::now();
            let learned = self.learn_once().await;
            let pause = began.elapsed() * if learned.is_ok() { SHARE } else { 1 };
            match learned {
                Ok(()) => {
                    retries = 0;
                    failure.recovered();
                }
                // The next run retries. An error is a warning if a retry cannot fix it, or has not fixed it.
                Err(error) if error.is_transient() && retries < MAX_SILENT_RETRIES => {
                    retries += 1;
                    debug!(%error, "the recommendation service cannot learn now");
                }
                Err(error) => failure.failed(error),
            }
            sleep(self.settings.every.max(pause)).await;
        }
    }

    /// Learns if baskets have changed, and invalidates the outdated lists.
    async fn learn_once(&self) -> Result<(), RecommendationError> {
        let is_done = self.revise().await? & self.forget().await?;
        if is_done {
            pending(false);
        }
        Ok(())
    }

    /// Returns a transaction with a longer statement timeout than requests have.
    fn transaction(&self) -> Transaction<'_> {
        self.pool.build_transaction().statement_timeout(Some(STATEMENT))
    }

    /// Updates `together`, and records the outdated lists in the same transaction. Returns `false` when another replica
    /// holds the lock.
    async fn revise(&self) -> Result<bool, RecommendationError> {
        // Repeatable read, because all counts must come from one snapshot.
        let revision = self.transaction().repeatable_read().run(async |connection| {
            if !is_ours(connection).await? {
                return Ok(false);
            }
            let progress = "SELECT c.number AS changes, l.number AS learned FROM lessons c, lessons l
                            WHERE c.name = 'changes' AND l.name = 'learned'";
            let progress: EventProgress = sql(progress).get_result(connection).await?;
            if progress.changes == progress.learned {
                return Ok(true);
            }
            pending(true);
            let began = Instant::now();
            let associations = self.associations(connection).await?;
            write(connection, &associations).await?;
            sql("UPDATE lessons SET number = $1 WHERE name = 'learned'")
                .bind::<BigInt, _>(progress.changes)
                .execute(connection)
                .await?;
            histogram!("recommendation_learning_seconds").record(began.elapsed().as_secs_f64());
            debug!(associations = associations.len(), took = ?began.elapsed(), "learned from the baskets");
            Ok(true)
        });
        revision.await
    }

    /// Invalidates the recorded lists. If the process dies in between, the records stay for the next run of any
    /// replica. Returns `false` when another replica holds the lock.
    async fn forget(&self) -> Result<bool, RecommendationError> {
        self.transaction()
            .run(async |connection| {
                if !is_ours(connection).await? {
                    return Ok(false);
                }
                let noted = "DELETE FROM outdated RETURNING product_id AS id, 0::bigint AS count";
                let noted: Vec<Count> = sql(noted).load(connection).await?;
                if noted.is_empty() {
                    return Ok(true);
                }
                let lists = Invalidation::hard().tags(noted.iter().map(|product| keys::together(product.id)));
                // An error rolls the transaction back, so the records stay.
                let done = require_invalidated(&self.cache, lists).await;
                done.map(|()| true).map_err(|error| RecommendationError::Unavailable(error.to_string()))
            })
            .await
    }

    /// Returns the significant associations of all products.
    async fn associations(&self, connection: &mut AsyncPgConnection) -> Result<Vec<Association>, RecommendationError> {
        let frequencies = "SELECT product_id AS id, count(*) AS count FROM basket_items WHERE quantity > 0 GROUP BY 1";
        let frequencies: Vec<Count> = sql(frequencies).load(connection).await?;
        let frequencies: HashMap<i64, u64> =
            frequencies.into_iter().map(|product| (product.id, product.count.unsigned_abs())).collect();
        let all = "SELECT 0::bigint AS id, count(DISTINCT cart_id) AS count FROM basket_items WHERE quantity > 0";
        let all = sql(all).get_result::<Count>(connection).await?.count.unsigned_abs();
        let pairs: Vec<Pair> = sql("SELECT a.product_id AS first, b.product_id AS second, count(*) AS count
             FROM basket_items a JOIN basket_items b ON b.cart_id = a.cart_id AND b.product_id > a.product_id
             WHERE a.quantity > 0 AND b.quantity > 0 GROUP BY 1, 2 HAVING count(*) >= $1")
        .bind::<BigInt, _>(i64::from(self.settings.min_support))
        .load(connection)
        .await?;
        let least_score = self.settings.least_score;
        // Half a second for 100,000 lines, which a thread of the requests must not spend.
        let scoring = spawn_blocking(move || {
            let frequency = |id: i64| frequencies.get(&id).copied().unwrap_or(0);
            let scored = pairs.into_iter().map(|Pair { first, second, count }| {
                let both = count.unsigned_abs();
                (first, second, Counts { both, first: frequency(first), second: frequency(second), all }.signed_root())
            });
            best(scored, least_score)
        });
        scoring.await.map_err(|error| RecommendationError::Internal(format!("learning has panicked: {error}")))
    }
}

/// Tries to take the lock of the learner until the end of the transaction, and returns whether this replica has it.
async fn is_ours(connection: &mut AsyncPgConnection) -> Result<bool, RecommendationError> {
    let lock = sql("SELECT pg_try_advisory_xact_lock($1) AS yes").bind::<BigInt, _>(LOCK);
    Ok(lock.get_result::<LockRow>(connection).await?.yes)
}
