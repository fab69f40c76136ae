//! Statements that are prepared once per connection.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, BoxedSqlQuery, Query, QueryFragment, QueryId, SqlQuery};
use diesel::serialize::ToSql;
use diesel::sql_types::HasSqlType;

/// A statement that stays prepared on its connection: one round trip instead of two, and Postgres parses and plans it
/// once; see [`cached`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing happens until it is loaded or executed"]
pub struct Cached<Q>(Q);

/// A statement that is written in SQL; see [`sql`].
pub type Sql<'f> = Cached<BoxedSqlQuery<'f, Pg, SqlQuery>>;

/// Keeps `query` prepared, which diesel does not do by itself for an UPDATE whose columns depend on a value.
///
/// Connections keep every text that they have executed, so the number of different texts must be small.
pub fn cached<Q>(query: Q) -> Cached<Q> {
    Cached(query)
}

/// Creates a statement, as [`diesel::sql_query`], that is [`cached`]. Pass values with [`bind`](Cached::bind), so that
/// the text stays the same.
pub fn sql<'f>(text: impl Into<String>) -> Sql<'f> {
    Cached(diesel::sql_query(text).into_boxed())
}

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

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Cached<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    /// Diesel cannot know that the number of texts is small; the callers of [`cached`] guarantee it.
    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for Cached<Q> {
    type QueryId = ();

    /// A prepared statement is found by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Cached<Q> {
    type SqlType = Q::SqlType;
}
