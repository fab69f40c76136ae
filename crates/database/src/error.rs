//! Errors of statements and transactions.

use deadpool::managed::{PoolError, TimeoutType};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::connect::ConnectError;
use crate::sqlstate::{ErrorClass, denies_access, refuses_login_for_good};
use crate::watchdog::ServerError;

/// Why a statement or a transaction failed. The transaction has been rolled back, unless the connection was lost during
/// its COMMIT.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}{}", sqlstate.as_ref().map(|state| format!(" (SQLSTATE {state})")).unwrap_or_default())]
pub struct Error {
    class: ErrorClass,
    sqlstate: Option<String>,
    constraint: Option<String>,
    message: String,
}

/// An error type that may contain an [`Error`], so that a transaction that returns it can be retried.
pub trait AsDatabaseError: From<Error> + From<DieselError> {
    /// Returns the contained database error, if there is one.
    fn database_error(&mut self) -> Option<&mut Error>;
}

/// Implements [`AsDatabaseError`] for the error type of a service, whose variant `Database` holds an [`Error`].
#[macro_export]
macro_rules! as_database_error {
    ($error:ty) => {
        impl ::std::convert::From<::diesel::result::Error> for $error {
            fn from(error: ::diesel::result::Error) -> Self {
                $crate::Error::from(error).into()
            }
        }

        impl $crate::AsDatabaseError for $error {
            fn database_error(&mut self) -> Option<&mut $crate::Error> {
                match self {
                    Self::Database(error) => Some(error),
                    _ => None,
                }
            }
        }
    };
}

impl Error {
    /// Returns the class of the error, which determines the reaction to it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// Returns whether a later attempt may succeed, without a change of this program or of its settings.
    pub fn is_transient(&self) -> bool {
        match self.class {
            ErrorClass::Contention
            | ErrorClass::StalePlan
            | ErrorClass::ReadOnly
            | ErrorClass::Busy
            | ErrorClass::Unavailable => true,
            ErrorClass::UniqueViolation
            | ErrorClass::ForeignKeyViolation
            | ErrorClass::ValueRefused
            | ErrorClass::Fault => false,
        }
    }

    /// Returns the constraint that the statement would have violated.
    pub fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    /// Returns whether another row already has a value that `constraint` requires to be unique.
    pub fn violates_unique(&self, constraint: &str) -> bool {
        self.class == ErrorClass::UniqueViolation && self.constraint() == Some(constraint)
    }

    /// Adds the SQLSTATE, which diesel does not pass on, from the errors that were received on the connection. Two
    /// errors belong together if their messages are equal; no decision depends on the words of a message.
    pub(crate) fn complete(&mut self, refusals: &[ServerError]) {
        let refusal = refusals.iter().rev().find(|refusal| refusal.message == self.message);
        if let Some(refusal) = refusal.filter(|_| self.sqlstate.is_none()) {
            self.class = refusal.class();
            self.sqlstate = Some(refusal.sqlstate.clone());
        }
    }

    /// Returns whether the session has ended, such as by a restart of Postgres or by `pg_terminate_backend`.
    pub(crate) fn has_ended_session(&self) -> bool {
        // `57P` is the shutdown of a server or a session. Without a message of Postgres, the connection was closed.
        self.class == ErrorClass::Unavailable && self.sqlstate.as_ref().is_none_or(|state| state.starts_with("57P"))
    }

    /// Returns whether the disk of the database is full.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.sqlstate.as_deref() == Some("53100")
    }

    /// Returns the SQLSTATE of a statement that lacks a permission, a table, a function or a schema.
    pub(crate) fn denied_access(&self) -> Option<&str> {
        self.sqlstate.as_deref().filter(|state| denies_access(state))
    }

    /// Returns whether Postgres has refused a connection because there are too many.
    pub(crate) fn is_out_of_connections(&self) -> bool {
        self.sqlstate.as_deref() == Some("53300")
    }

    /// Returns whether Postgres has refused a login, and does so until a setting, a role or a database is changed.
    pub(crate) fn is_refused_login(&self) -> bool {
        self.sqlstate.as_deref().is_some_and(refuses_login_for_good)
    }

    pub(crate) fn without_sqlstate(class: ErrorClass, message: String) -> Self {
        Self { class, sqlstate: None, constraint: None, message }
    }
}

impl AsDatabaseError for Error {
    fn database_error(&mut self) -> Option<&mut Error> {
        Some(self)
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let (kind, info) = match error {
            DieselError::DatabaseError(kind, info) => (kind, info),
            DieselError::RollbackErrorOnCommit { commit_error, .. } => return Self::from(*commit_error),
            // The connection was lost within a transaction.
            DieselError::BrokenTransactionManager => {
                return Self::without_sqlstate(ErrorClass::Unavailable, error.to_string());
            }
            _ => return Self::without_sqlstate(ErrorClass::Fault, error.to_string()),
        };
        let class = match kind {
            DatabaseErrorKind::UniqueViolation => ErrorClass::UniqueViolation,
            DatabaseErrorKind::ForeignKeyViolation => ErrorClass::ForeignKeyViolation,
            DatabaseErrorKind::NotNullViolation | DatabaseErrorKind::CheckViolation => ErrorClass::ValueRefused,
            DatabaseErrorKind::SerializationFailure => ErrorClass::Contention,
            DatabaseErrorKind::ReadOnlyTransaction => ErrorClass::ReadOnly,
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => ErrorClass::Unavailable,
            _ => ErrorClass::Fault,
        };
        let constraint = info.constraint_name().map(str::to_owned);
        Self { class, sqlstate: None, constraint, message: info.message().to_owned() }
    }
}

impl From<PoolError<ConnectError>> for Error {
    fn from(error: PoolError<ConnectError>) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::without_sqlstate(ErrorClass::Busy, "no connection of the pool became free in time".to_owned())
            }
            PoolError::Backend(error) => error.into(),
            error => Self::without_sqlstate(ErrorClass::Unavailable, error.to_string()),
        }
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        let sqlstate = error.sqlstate().map(str::to_owned);
        Self { class: ErrorClass::Unavailable, sqlstate, constraint: None, message: error.to_string() }
    }
}
