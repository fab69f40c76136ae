//! Which transactions a statement has seen: the text of `pg_snapshot`, and the SQL functions that return it.

use diesel::define_sql_function;
use diesel::sql_types::SqlType;

/// Postgres' type of a snapshot.
#[derive(Clone, Copy, Debug, SqlType)]
#[diesel(postgres_type(name = "pg_snapshot"))]
pub struct PgSnapshot;

/// Postgres' type of the id of a transaction, which is never used again.
#[derive(Clone, Copy, Debug, SqlType)]
#[diesel(postgres_type(name = "xid8"))]
pub struct Xid8;

define_sql_function! {
    /// Returns the snapshot of the statement.
    fn pg_current_snapshot() -> PgSnapshot;
}
define_sql_function! {
    /// Returns the id of the current transaction.
    fn pg_current_xact_id() -> Xid8;
}
define_sql_function! {
    /// Returns a snapshot as text.
    #[sql_name = "text"]
    fn snapshot_text(snapshot: PgSnapshot) -> Text;
}
define_sql_function! {
    /// Returns the id of a transaction as text.
    #[sql_name = "text"]
    fn transaction_text(id: Xid8) -> Text;
}

/// The transactions that a statement has seen: `742:745:743` sees all below 742, and 744.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionSnapshot {
    /// All transactions below this one had ended.
    all_below: u64,
    /// No transaction from this one on had ended.
    none_from: u64,
    /// Those in between that had not ended.
    running: Vec<u64>,
}

/// The running transactions that [`TransactionSnapshot::compact`] keeps.
const MAX_RUNNING: usize = 16;

impl TransactionSnapshot {
    /// Parses the text of a `pg_snapshot`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (all_below, rest) = text.split_once(':')?;
        let (none_from, running) = rest.split_once(':')?;
        let running =
            running.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect::<Option<_>>()?;
        Some(Self { all_below: all_below.parse().ok()?, none_from: none_from.parse().ok()?, running })
    }

    /// Returns whether the statement has seen the effects of this transaction, if it was committed.
    pub fn sees(&self, transaction: u64) -> bool {
        transaction < self.all_below || (transaction < self.none_from && !self.running.contains(&transaction))
    }

    /// Returns the text of a snapshot, or a short one that sees less, if very many transactions were running.
    pub fn compact(text: String) -> String {
        match text.split(':').next() {
            Some(all_below) if text.matches(',').count() >= MAX_RUNNING => format!("{all_below}:{all_below}:"),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_sees_the_transactions_that_had_ended() {
        let snapshot = TransactionSnapshot::parse("742:745:743").expect("a snapshot");
        let seen: Vec<u64> = (740..747).filter(|id| snapshot.sees(*id)).collect();
        assert_eq!(seen, [740, 741, 742, 744]);
        assert!(
            TransactionSnapshot::parse("742:742:").is_some_and(|snapshot| snapshot.sees(741) && !snapshot.sees(742))
        );
        for text in ["", "742", "742:745", "a:745:", "742:745:x"] {
            assert_eq!(TransactionSnapshot::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn long_snapshot_is_replaced_by_a_short_one_that_sees_less() {
        assert_eq!(TransactionSnapshot::compact("742:745:743".to_owned()), "742:745:743");
        let running = (742..760).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(TransactionSnapshot::compact(format!("742:900:{running}")), "742:742:");
    }
}
