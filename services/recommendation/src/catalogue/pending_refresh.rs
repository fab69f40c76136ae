//! Pending refreshes: rows that are about to change, in the table `awaited`.
//!
//! An event says that a row has changed. The row itself is fetched, and arrives some milliseconds later. The lists that
//! were built from the old row are invalidated at once, and until the new row arrives, but for at most
//! `PENDING_TTL`, no replica stores such a list:
//!
//! ```text
//! event ─► expect ─► invalidate the lists ─► fetch ─► write the rows, clear the refresh ─► invalidate the lists
//! ```
//!
//! A product that may be sold out is not shown in between, however long that takes, for example while the product API
//! is unavailable.
//!
//! A load reads this table after the rows. If its list is stored all the same, then either its rows are the new ones,
//! or the load began before the last step, which removes the list or refuses the fill. So correctness does not depend
//! on this table: without it, lists are outdated for some milliseconds longer.
//!
//! Each process has one row, because it applies one batch at a time. A row that is only ever updated leaves little for
//! vacuum to do.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cache::Tag;
use database::sql;
use diesel::sql_types::{Array, Double, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::Catalogue;
use crate::error::RecommendationError;

/// How long a refresh stays pending. A refresh that takes longer was abandoned, or the product API is unavailable; then
/// lists are cached from the old rows.
const PENDING_TTL: Duration = Duration::from_secs(10);

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The pending refreshes that concern a list which was just built.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingRefresh {
    /// Whether a row of the list is about to change.
    pub(crate) any: bool,
    /// Products of the list that may be sold out.
    pub(crate) in_doubt: HashSet<i64>,
}

impl Catalogue {
    /// Records that lists with these tags are outdated and that their new rows have not arrived yet; the products
    /// `in_doubt` may be sold out. Replaces the previous pending refresh of this process.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn expect(
        &self, tags: impl IntoIterator<Item = &Tag>, in_doubt: impl IntoIterator<Item = i64>,
    ) -> Result<(), RecommendationError> {
        let mut names: Vec<String> = tags.into_iter().map(|tag| tag.as_str().to_owned()).collect();
        names.extend(in_doubt.into_iter().map(doubt));
        // The commit does not wait for the disk: after a crash, the lost row only delays the invalidation of a list a
        // little.
        let expect = "INSERT INTO awaited
             SELECT $1, $2, clock_timestamp() + make_interval(secs => $3)
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS this_transaction
             ON CONFLICT (process) DO UPDATE SET tags = excluded.tags, until = excluded.until";
        let expect = || {
            let expect = sql(expect).bind::<SqlUuid, _>(self.process).bind::<Array<Text>, _>(&names);
            expect.bind::<Double, _>(PENDING_TTL.as_secs_f64())
        };
        self.pool.run_sql(expect).await?;
        Ok(())
    }

    /// Removes the rows of processes whose last refresh expired at least a day ago.
    ///
    /// # Errors
    /// Fails when the database does not respond.
    pub async fn prune_processes(&self) -> Result<(), RecommendationError> {
        let forget = "DELETE FROM awaited WHERE until < clock_timestamp() - interval '1 day'";
        self.pool.run_sql(|| sql(forget)).await?;
        Ok(())
    }
}

/// Clears the pending refresh of `process`, because this transaction writes its rows.
pub(super) async fn clear_pending(
    connection: &mut AsyncPgConnection, process: Uuid,
) -> Result<(), RecommendationError> {
    let arrived = sql("UPDATE awaited SET tags = '{}' WHERE process = $1").bind::<SqlUuid, _>(process);
    arrived.execute(connection).await?;
    Ok(())
}

/// Returns the pending refreshes of a list that has these tags and shows these products.
pub(crate) async fn awaited(
    connection: &mut AsyncPgConnection, tags: impl IntoIterator<Item = &Tag>, shown: impl IntoIterator<Item = i64>,
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

/// Returns the name of a product in the table whose stock may have changed. No tag has this prefix.
fn doubt(product: i64) -> String {
    format!("stock:{product}")
}
