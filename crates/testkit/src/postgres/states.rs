//! States into which an administrator or a failover puts a server, a database or a role.

use anyhow::Result;

use super::Postgres;

/// Settings of a role or a database that must not harm a service: each has made a service fail, or might.
pub const FOREIGN_SETTINGS: [&str; 18] = [
    "search_path = ''", "search_path = nowhere, pg_catalog", "statement_timeout = '50ms'", "lock_timeout = '1ms'",
    "idle_session_timeout = '500ms'", "idle_in_transaction_session_timeout = '1ms'",
    "default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on", "timezone = 'Asia/Tokyo'",
    "datestyle = 'German'", "intervalstyle = 'sql_standard'", "bytea_output = 'escape'",
    "standard_conforming_strings = off", "exit_on_error = on", "client_encoding = 'LATIN1'",
    "check_function_bodies = off", "row_security = off", "plan_cache_mode = 'force_generic_plan'",
];

impl Postgres {
    /// Creates a role that owns this database and everything in it, and has no other rights. Returns the database's
    /// address for that role.
    pub async fn create_owner(&self, database: &str) -> Result<String> {
        // Roles belong to the whole server, so this one is named after the database.
        let role = owner(database);
        let create = format!("CREATE ROLE \"{role}\" LOGIN; ALTER DATABASE \"{database}\" OWNER TO \"{role}\"");
        self.sql("postgres", &create).await?;
        self.sql(database, &format!("ALTER SCHEMA public OWNER TO \"{role}\"")).await?;
        Ok(format!("postgres://{role}@127.0.0.1:{}/{database}", self.port))
    }

    /// Replaces the owner's settings for new sessions (`name = value`), and ends the existing sessions.
    pub async fn set_for_owner(&self, database: &str, settings: &[&str]) -> Result<()> {
        let role = owner(database);
        let mut alter = format!("ALTER ROLE \"{role}\" RESET ALL");
        for setting in settings {
            alter.push_str(&format!("; ALTER ROLE \"{role}\" SET {setting}"));
        }
        self.sql("postgres", &alter).await?;
        let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'");
        self.sql("postgres", &end).await.map(drop)
    }

    /// Allows or forbids writes in new sessions of this database. If it forbids them, it also ends the existing
    /// sessions.
    pub async fn set_read_only(&self, database: &str, is_read_only: bool) -> Result<()> {
        let turn = format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = {is_read_only}");
        // Connected to another database, because this one may be read-only and refuse the statement.
        self.sql("postgres", &turn).await?;
        if is_read_only {
            // Existing sessions would keep the settings with which they began.
            let end =
                format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'");
            self.sql("postgres", &end).await?;
        }
        Ok(())
    }

    /// Turns the server into a hot standby, which serves reads until [`promote`](Self::promote).
    pub async fn demote(&self) -> Result<()> {
        std::fs::write(format!("{}/standby.signal", self.data()), "")?;
        self.restart().await
    }

    /// Ends the standby mode.
    pub async fn promote(&self) -> Result<()> {
        self.sql("postgres", "SELECT pg_promote()").await.map(drop)
    }
}

fn owner(database: &str) -> String {
    format!("owner_of_{database}")
}
