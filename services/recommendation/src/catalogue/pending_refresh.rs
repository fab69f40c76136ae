//! What is about to change: the table `awaited`.
//!
//! An event says that a row has changed; the row itself is fetched, and here some milliseconds later. The lists that were
//! made of the old one are removed at once, and until the new one is here, nobody stores such a list again:
//!
//! ```text
//! event ─► expect ─► remove the lists ─► fetch ─► write the rows, no longer expected ─► remove the lists
//! ```
//!
//! A product that may be sold out is not shown in between, however long that takes: while the product API is away, say.
//!
//! A load reads this table after the rows. If it is stored all the same, then its rows are the new ones, or it began before
//! the last step, which removes it or refuses it. So nothing depends on what stands here: without it lists are outdated
//! for some milliseconds longer.
//!
//! Each process has one row, because it carries out one batch at a time; a row that is only ever updated leaves nothing
//! behind that would have to be vacuumed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cache::Tag;
use database::sql;
use diesel::sql_types::{Array, Double, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::Catalogue;
use crate::error::RecommendationError;

/// Rows that are not here by then have been given up, or the product API is away: lists are cached as they are.
const PENDING_TTL: Duration = Duration::from_secs(10);

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// What is about to change of a list that was just made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingRefresh {
    /// Whether it is about to be outdated.
    pub(crate) any: bool,
    /// Products of it of which nobody can say whether they can still be bought.
    pub(crate) in_doubt: HashSet<i64>,
}

impl Catalogue {
    /// Lists with these tags are outdated, and the rows to make new ones of are not here yet; the products `in_doubt` may
    /// be sold out. Takes the place of what this process expected before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expect(
        &self,
        tags: impl IntoIterator<Item = &Tag>,
        in_doubt: impl IntoIterator<Item = i64>,
    ) -> Result<(), RecommendationError> {
        let mut names: Vec<String> = tags.into_iter().map(|tag| tag.as_str().to_owned()).collect();
        names.extend(in_doubt.into_iter().map(doubt));
        // Nobody waits for the disk here: what a crash forgets costs a list that is removed a little later.
        let expect = "INSERT INTO awaited
             SELECT $1, $2, clock_timestamp() + make_interval(secs => $3)
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS this_transaction
             ON CONFLICT (process) DO UPDATE SET tags = excluded.tags, until = excluded.until";
        self.pool
            .run(async |connection| {
                let expect = sql(expect).bind::<SqlUuid, _>(self.process).bind::<Array<Text>, _>(&names);
                expect.bind::<Double, _>(PENDING_TTL.as_secs_f64()).execute(connection).await?;
                Ok(())
            })
            .await
    }

    /// Forgets what processes expected that are long gone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_processes(&self) -> Result<(), RecommendationError> {
        let forget = "DELETE FROM awaited WHERE until < clock_timestamp() - interval '1 day'";
        self.pool
            .run(async |connection| {
                sql(forget).execute(connection).await?;
                Ok(())
            })
            .await
    }
}

/// With this transaction, what `process` expected is here.
pub(super) async fn clear_pending(
    connection: &mut AsyncPgConnection,
    process: Uuid,
) -> Result<(), RecommendationError> {
    let arrived = sql("UPDATE awaited SET tags = '{}' WHERE process = $1").bind::<SqlUuid, _>(process);
    arrived.execute(connection).await?;
    Ok(())
}

/// What is about to change of a list with these tags, which shows these products.
pub(crate) async fn awaited(
    connection: &mut AsyncPgConnection,
    tags: impl IntoIterator<Item = &Tag>,
    shown: impl IntoIterator<Item = i64>,
) -> Result<PendingRefresh, RecommendationError> {
    let doubts: HashMap<String, i64> = shown.into_iter().map(|product| (doubt(product), product)).collect();
    let mut names: Vec<&str> = tags.into_iter().map(Tag::as_str).collect();
    names.extend(doubts.keys().map(String::as_str));
    let about = sql("SELECT name FROM awaited, unnest(tags) AS name
                     WHERE tags && $1 AND until > clock_timestamp() AND name = ANY($1)");
    let about: Vec<Name> = about.bind::<Array<Text>, _>(names).load(connection).await?;
    let in_doubt = about.iter().filter_map(|Name { name }| doubts.get(name).copied()).collect();
    Ok(PendingRefresh { any: !about.is_empty(), in_doubt })
}

/// Stands for a product whose stock has changed; no tag begins like this.
fn doubt(product: i64) -> String {
    format!("stock:{product}")
}
