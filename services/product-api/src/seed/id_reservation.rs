//! The catalogue ids that are seeded, those that are reserved, and those that belong to users.
//!
//! The state is one row, and its lock makes concurrent seeding safe. Each step takes the lock, reads, acts and commits,
//! so the processes of several replicas share the work.

use database::{Error, Pool};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::schema::seed_state;

/// The row of `seed_state`; `schema` explains the columns.
#[derive(Queryable, Selectable)]
#[diesel(table_name = seed_state)]
pub(super) struct State {
    pub(super) categories: i64,
    pub(super) seeded_to: i64,
    pub(super) reserved_to: i64,
}

/// Reads the state and locks it until the end of the transaction. This may wait for another process.
pub(super) async fn lock(connection: &mut AsyncPgConnection) -> QueryResult<State> {
    seed_state::table.select(State::as_select()).for_update().first(connection).await
}

/// Reserves ids up to `target` for the catalogue. Returns whether reserved ids are still to be seeded. An interrupted
/// reservation is filled before the next one begins.
pub(super) async fn reserve(pool: &Pool, target: i64) -> Result<bool, Error> {
    let state = super::transaction(pool)
        .run(async |connection| {
            let mut state = lock(connection).await?;
            if state.seeded_to == state.reserved_to && state.reserved_to < target {
                // Ids up to this one were given to users, whose products may be deleted by now. If such an id returned
                // as another product, it would also return with an older version.
                state.seeded_to = state.seeded_to.max(last_id(connection, "products").await?);
                state.reserved_to = target.max(state.seeded_to);
                diesel::update(seed_state::table)
                    .set((seed_state::seeded_to.eq(state.seeded_to), seed_state::reserved_to.eq(state.reserved_to)))
                    .execute(connection)
                    .await?;
            }
            Ok::<_, Error>(state)
        })
        .await?;
    // After the commit, and again on every start, because a sequence does not roll back. If the sequence were raised
    // first and the process then killed, the next start would find all these ids assigned, and never seed them. A
    // product that draws an id in between keeps it: the seeding skips existing rows.
    let reserved_to = state.reserved_to;
    let raise = async |connection: &mut AsyncPgConnection| {
        Ok::<_, Error>(raise_sequence(connection, "products", reserved_to).await?)
    };
    super::transaction(pool).run(raise).await?;
    Ok(state.seeded_to < state.reserved_to)
}

/// Makes the ids of new rows begin above `id`, if they do not yet. Needs a transaction.
pub(super) async fn raise_sequence(
    connection: &mut AsyncPgConnection, table: &'static str, id: i64,
) -> QueryResult<()> {
    if last_id(connection, table).await? >= id {
        return Ok(());
    }
    // An insert that drew its id between the first check and `setval` would be followed by others with the same ids.
    // The lock keeps inserts out, so the second check is reliable.
    let lock = format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE");
    connection.batch_execute(&lock).await?;
    if last_id(connection, table).await? < id {
        diesel::sql_query(format!("SELECT setval('{table}_id_seq', $1)"))
            .bind::<BigInt, _>(id)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Returns the highest id that the table's sequence has assigned, or 0 for none.
async fn last_id(connection: &mut AsyncPgConnection, table: &'static str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let query = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS id FROM {table}_id_seq");
    let last: Last = diesel::sql_query(query).get_result(connection).await?;
    Ok(last.id)
}
