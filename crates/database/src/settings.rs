//! The `[postgres]` section.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;

/// The address of the database, and the resources of it that one process may use.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// The number of connections that requests share. Every replica has as many, and Postgres allows 100 in total. The
    /// health check uses one more, so that a fully used pool does not look like an unreachable database.
    #[serde(default = "default_max_connections")]
    pub max_connections: NonZeroUsize,
    /// How long a request waits for a free connection, and how long connecting may take.
    #[serde(default = "default_wait_timeout", with = "crate::duration")]
    pub wait_timeout: Duration,
    /// The time after which Postgres ends a statement; `0s` means never, which the services refuse.
    #[serde(default = "default_statement_timeout", with = "crate::duration")]
    pub statement_timeout: Duration,
}

fn default_max_connections() -> NonZeroUsize {
    NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN)
}

fn default_wait_timeout() -> Duration {
    Duration::from_secs(2)
}

fn default_statement_timeout() -> Duration {
    Duration::from_secs(5)
}

impl PostgresSettings {
    /// Returns host, port and database of the URL, and no other part of it.
    pub(crate) fn address(&self) -> &str {
        const ELSEWHERE: &str = "the place in `postgres.url`";
        let Some((_, rest)) = self.url.split_once("://") else {
            return ELSEWHERE;
        };
        // Exactly one `@`, and before any `?`: otherwise the text after it may be part of a password.
        match rest.split_once('@') {
            Some((login, address)) if !login.contains('?') && !address.contains('@') => {
                address.split_once('?').map_or(address, |(address, _)| address)
            }
            _ => ELSEWHERE,
        }
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("address", &self.address())
            .field("max_connections", &self.max_connections)
            .field("wait_timeout", &self.wait_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish()
    }
}
