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
//!
//! Each process has one row, because it carries out one batch at a time; a row that is only ever updated leaves nothing
//! behind that would have to be vacuumed.

use std::time::Duration;

use cache::Tag;
use database::sql;
use diesel::sql_types::{Array, Bool, Double, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::Catalogue;
use crate::error::Failure;

/// Rows that are not here by then have been given up, or the product API is away: lists are cached as they are.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(diesel::QueryableByName)]
struct Yes {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

impl Catalogue {
    /// Lists with these tags are outdated, and the rows to make new ones of are not here yet. Takes the place of what this
    /// process expected before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expect(&self, tags: impl IntoIterator<Item = &Tag>) -> Result<(), Failure> {
        let connection = &mut *self.pool.get().await?;
        sql("INSERT INTO awaited VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
             ON CONFLICT (process) DO UPDATE SET tags = excluded.tags, until = excluded.until")
        .bind::<SqlUuid, _>(self.process)
        .bind::<Array<Text>, _>(names(tags))
        .bind::<Double, _>(PATIENCE.as_secs_f64())
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Forgets what processes expected that are long gone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_the_gone(&self) -> Result<(), Failure> {
        let connection = &mut *self.pool.get().await?;
        sql("DELETE FROM awaited WHERE until < clock_timestamp() - interval '1 day'").execute(connection).await?;
        Ok(())
    }
}

/// With this transaction, what `process` expected is here.
pub(super) async fn arrived(connection: &mut AsyncPgConnection, process: Uuid) -> Result<(), Failure> {
    let arrived = sql("UPDATE awaited SET tags = '{}' WHERE process = $1").bind::<SqlUuid, _>(process);
    arrived.execute(connection).await?;
    Ok(())
}

/// Whether a list with these tags is about to be outdated.
pub(crate) async fn is_awaited(
    connection: &mut AsyncPgConnection,
    tags: impl IntoIterator<Item = &Tag>,
) -> Result<bool, Failure> {
    let any = sql("SELECT EXISTS (SELECT FROM awaited WHERE tags && $1 AND until > clock_timestamp()) AS yes");
    Ok(any.bind::<Array<Text>, _>(names(tags)).get_result::<Yes>(connection).await?.yes)
}

fn names<'t>(tags: impl IntoIterator<Item = &'t Tag>) -> Vec<&'t str> {
    tags.into_iter().map(Tag::as_str).collect()
}
