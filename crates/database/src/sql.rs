//! SQL that is prepared once per connection.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, BoxedSqlQuery, Query, QueryFragment, QueryId, SqlQuery};
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// Creates a statement, as [`diesel::sql_query`], that stays prepared on its connection: one round trip instead of two,
/// and Postgres parses it once.
///
/// Connections keep every text that they have executed, so the number of different texts must be small: pass values
/// with [`bind`](Sql::bind).
pub fn sql<'f>(text: impl Into<String>) -> Sql<'f> {
    Sql(diesel::sql_query(text).into_boxed())
}

/// A statement and its values; see [`sql`].
#[must_use = "nothing happens until it is loaded or executed"]
pub struct Sql<'f>(BoxedSqlQuery<'f, Pg, SqlQuery>);

impl<'f> Sql<'f> {
    /// Binds the next value; the first one is `$1`.
    pub fn bind<ST, V>(self, value: V) -> Self
    where
        Pg: HasSqlType<ST>,
        V: ToSql<ST, Pg> + Send + 'f,
        ST: Send + 'f,
    {
        Self(self.0.bind::<ST, V>(value))
    }
}

impl QueryFragment<Pg> for Sql<'_> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    /// Diesel cannot know that the number of texts is small; the callers of [`sql`] guarantee it.
    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

impl QueryId for Sql<'_> {
    type QueryId = ();

    /// A prepared statement is found by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql<'_> {
    type SqlType = Untyped;
}

impl std::fmt::Debug for Sql<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sql")
    }
}
