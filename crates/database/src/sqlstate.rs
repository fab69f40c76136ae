//! Classifies SQLSTATEs: the only module that decides how to react to a database error.
//!
//! Message texts are not considered: Postgres translates them (`lc_messages`) and rewords them between versions. See
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

/// The class of a database error, which determines the reaction to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The transaction lost against another one and was rolled back: a retry may succeed.
    Contention,
    /// A prepared statement no longer fits the tables: it succeeds after it is prepared again.
    StalePlan,
    /// The session cannot write: the database is read-only, or was when the session began.
    ReadOnly,
    /// Every connection of the pool is in use.
    Busy,
    /// The database is unreachable, shuts down, or lacks time, memory, disk or connections; or what a statement needs is
    /// missing until an administrator restores it: a permission, a table, a function or a schema.
    Unavailable,
    /// Another row already has the value of a unique column.
    UniqueViolation,
    /// The row that a foreign key references does not exist, or is still referenced.
    ForeignKeyViolation,
    /// A column or a constraint does not allow the value.
    ValueRefused,
    /// A bug in this program.
    Fault,
}

/// The Postgres function that reports "cached plan must not change result type". Its SQLSTATE, 0A000, has other uses.
const STALE_PLAN_ROUTINE: &str = "RevalidateCachedQuery";

/// The Postgres functions that report that the ids of transactions are used up, or that the queue of notifications is full.
/// Their SQLSTATE, 54000, has other uses.
const EXHAUSTION_ROUTINES: [&str; 3] = ["GetNewTransactionId", "GetNewMultiXactId", "PreCommit_Notify"];

/// Classifies an error that Postgres has reported. `routine` is the function in Postgres' source that reported it.
pub(crate) fn classify(state: &str, routine: Option<&str>) -> ErrorClass {
    match state {
        "0A000" if routine == Some(STALE_PLAN_ROUTINE) => ErrorClass::StalePlan,
        // The statement was deallocated: `DISCARD ALL`, or a proxy that changed the session.
        "26000" => ErrorClass::StalePlan,
        // Serialization failure (also a query that a standby cancels), deadlock, lock timeout, old snapshot.
        "40001" | "40P01" | "55P03" | "72000" => ErrorClass::Contention,
        "25006" => ErrorClass::ReadOnly,
        "23505" => ErrorClass::UniqueViolation,
        "23001" | "23503" => ErrorClass::ForeignKeyViolation,
        // No further transaction can begin until the old ones are vacuumed; none can notify until a listener has read.
        "54000" if routine.is_some_and(|routine| EXHAUSTION_ROUTINES.contains(&routine)) => ErrorClass::Unavailable,
        // Too long, out of range, null, not within a check, in conflict with an exclusion, too large for an index.
        "22001" | "22003" | "23502" | "23514" | "23P01" | "54000" => ErrorClass::ValueRefused,
        // Limits on idle and on whole transactions; a COMMIT whose outcome is unknown.
        "25P03" | "25P04" | "40003" => ErrorClass::Unavailable,
        _ if denies_access(state) => ErrorClass::Unavailable,
        // Connection, insufficient resources, operator intervention (also cancelled statements), system error.
        _ if ["08", "53", "57", "58"].iter().any(|class| state.starts_with(class)) => ErrorClass::Unavailable,
        _ => ErrorClass::Fault,
    }
}

/// Returns whether something that the statement needs is missing, such as during `pg_restore --clean` or after a `REVOKE`.
pub(crate) fn denies_access(state: &str) -> bool {
    // Insufficient privilege, undefined table, undefined function, invalid schema name.
    matches!(state, "42501" | "42P01" | "42883" | "3F000")
}

/// Returns whether a refused login stays refused until a setting, a role or a database is changed.
pub(crate) fn refuses_login_for_good(state: &str) -> bool {
    // Invalid authorization, invalid catalog name, insufficient privilege, a database that allows no connections.
    state.starts_with("28") || ["3D000", "42501", "55000"].contains(&state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_one_error_class() {
        let cases = [
            (ErrorClass::Contention, ["40001", "40P01", "55P03", "72000"].as_slice()),
            (ErrorClass::StalePlan, &["26000"]),
            (ErrorClass::ReadOnly, &["25006"]),
            (ErrorClass::Unavailable, &["08006", "53000", "53100", "53200", "53300", "53400"]),
            (ErrorClass::Unavailable, &["57014", "57P01", "57P02", "57P03", "57P05", "58030", "25P03", "25P04"]),
            (ErrorClass::Unavailable, &["42501", "42P01", "42883", "3F000"]),
            (ErrorClass::UniqueViolation, &["23505"]),
            (ErrorClass::ForeignKeyViolation, &["23503", "23001"]),
            (ErrorClass::ValueRefused, &["22001", "22003", "23502", "23514", "23P01", "54000"]),
            (ErrorClass::Fault, &["0A000", "25P02", "42601", "42703", "54001", "22012", "XX000", "P0001"]),
        ];
        for (class, states) in cases {
            for state in states {
                assert_eq!(classify(state, None), class, "{state}");
            }
        }
        assert_eq!(classify("0A000", Some("RevalidateCachedQuery")), ErrorClass::StalePlan);
        assert_eq!(classify("0A000", Some("transformSelectStmt")), ErrorClass::Fault);
        assert_eq!(classify("54000", Some("_bt_check_third_page")), ErrorClass::ValueRefused);
        assert_eq!(classify("54000", Some("GetNewTransactionId")), ErrorClass::Unavailable);
        assert_eq!(classify("54000", Some("PreCommit_Notify")), ErrorClass::Unavailable);
    }

    #[test]
    fn only_login_errors_of_the_configuration_are_permanent() {
        for state in ["28000", "28P01", "3D000", "42501", "55000"] {
            assert!(refuses_login_for_good(state), "{state}");
        }
        for state in ["57P03", "53300", "08006", "XX000"] {
            assert!(!refuses_login_for_good(state), "{state}");
        }
    }
}
