//! What is about to change: the table `awaited`.
//!
//! An event says that a row has changed; the row itself is fetched, and here some milliseconds later. The lists that were
//! made of the old one are removed at once, and until the new one is here, nobody stores such a list again:
//!
//! ```text
//! event ─► expect ─► remove the lists ─► fetch ─► write the rows, no longer expected ─► remove the lists
//! ```
//!
//! A load reads this table after the rows. If it is stored all the same, then its rows are the new ones, or it began before
//! the last step, which removes it or refuses it. So nothing depends on what stands here: without it lists are outdated
//! for some milliseconds longer.

use std::time::Duration;

use cache::Tag;
use database::sql;
use diesel::sql_types::{Array, BigInt, Bool, Double, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::Catalogue;
use crate::error::Failure;
use crate::positions::signed;

/// Rows that are not here by then have been given up, or the product API is away: lists are cached as they are.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(diesel::QueryableByName)]
struct Yes {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

impl Catalogue {
    /// The events up to `seq` outdate lists with these tags, and their rows are not here yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expect(&self, tags: impl IntoIterator<Item = &Tag>, seq: u64) -> Result<(), Failure> {
        let connection = &mut *self.pool.get().await?;
        sql("INSERT INTO awaited AS known
             SELECT tag, $2, clock_timestamp() + make_interval(secs => $3) FROM unnest($1) AS tag ORDER BY tag
             ON CONFLICT (tag) DO UPDATE SET seq = greatest(known.seq, excluded.seq), until = excluded.until")
        .bind::<Array<Text>, _>(names(tags))
        .bind::<BigInt, _>(signed(seq))
        .bind::<Double, _>(PATIENCE.as_secs_f64())
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// With this transaction, the rows are here that events up to `seq` outdate lists with these tags by.
pub(super) async fn arrived(connection: &mut AsyncPgConnection, tags: &[Tag], seq: u64) -> Result<(), Failure> {
    sql("DELETE FROM awaited USING (
             SELECT tag FROM awaited WHERE tag = ANY($1) AND seq <= $2 ORDER BY tag FOR UPDATE) AS here
         WHERE awaited.tag = here.tag")
    .bind::<Array<Text>, _>(names(tags))
    .bind::<BigInt, _>(signed(seq))
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a list with these tags is about to be outdated.
pub(crate) async fn is_awaited(
    connection: &mut AsyncPgConnection,
    tags: impl IntoIterator<Item = &Tag>,
) -> Result<bool, Failure> {
    let any = sql("SELECT EXISTS (SELECT FROM awaited WHERE tag = ANY($1) AND until > clock_timestamp()) AS yes");
    Ok(any.bind::<Array<Text>, _>(names(tags)).get_result::<Yes>(connection).await?.yes)
}

fn names<'t>(tags: impl IntoIterator<Item = &'t Tag>) -> Vec<&'t str> {
    tags.into_iter().map(Tag::as_str).collect()
}
