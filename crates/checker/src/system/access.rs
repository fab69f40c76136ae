//! Access to a running system.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::Result;
use testkit::private_system::{PrivateSystem, Service};

/// A system with four services, Postgres and Redis.
pub(crate) trait System {
    /// Returns the base URL of a service.
    fn url(&self, service: Service) -> impl Future<Output = Result<String>>;
    /// Returns rows of one of the databases, with columns separated by `|`.
    fn sql(&self, database: &str, sql: &str) -> impl Future<Output = Result<String>>;
    /// Sends a command to Redis as the admin user.
    fn redis(&self, arguments: &[&str]) -> impl Future<Output = Result<String>>;
}

impl System for PrivateSystem {
    async fn url(&self, service: Service) -> Result<String> {
        Ok(Self::url(self, service))
    }

    async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        self.postgres.sql(database, sql).await
    }

    async fn redis(&self, arguments: &[&str]) -> Result<String> {
        self.redis.cli(arguments).await
    }
}

/// Parses rows of two numbers, `1|2`. Other rows are skipped.
pub(crate) fn pairs(rows: &str) -> BTreeMap<i64, i64> {
    rows.lines()
        .filter_map(|row| row.split_once('|'))
        .filter_map(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        .collect()
}
