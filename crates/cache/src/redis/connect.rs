//! The client library's configuration: one attempt and one time limit for each command, and reconnects forever.

use std::time::Duration;

use fred::clients::Client;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, RespVersion};

use crate::keyspace::KeyspaceError;
use crate::settings::CacheSettings;

/// The reason why a client cannot connect. A Redis that is only down is not one of them.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name of the keyspace cannot be used.
    #[error(transparent)]
    Keyspace(#[from] KeyspaceError),
    /// The URL cannot be parsed. The message does not repeat it, because it may contain a password.
    #[error("the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db")]
    Url(String),
    /// The server may evict the fence table and tag sets, which would make stale reads possible.
    #[error(
        "Redis' maxmemory-policy is `{0}`, which may evict the cache's fence table; set it to `volatile-lru`, another \
         `volatile-*` policy or `noeviction`"
    )]
    EvictionPolicy(String),
    /// The server is older than the scripts require.
    #[error("Redis {0} is too old: at least version 7.0 is needed")]
    Version(String),
    /// The credentials are wrong.
    #[error("Redis refuses the login: {0}")]
    Login(String),
}

pub(super) fn build_client(settings: &CacheSettings) -> Result<Client, ConnectError> {
    if !settings.url.starts_with("redis://") {
        return Err(ConnectError::Url("it does not begin with redis://".to_owned()));
    }
    let mut config = Config::from_url(&settings.url).map_err(|error| ConnectError::Url(error.details().to_owned()))?;
    config.version = RespVersion::RESP3;
    config.fail_fast = false;
    let timeout = settings.command_timeout;
    Builder::from_config(config)
        .with_performance_config(|performance: &mut PerformanceConfig| performance.default_command_timeout = timeout)
        .with_connection_config(|connection: &mut ConnectionConfig| {
            connection.connection_timeout = Duration::from_millis(500);
            connection.internal_command_timeout = Duration::from_millis(500);
            connection.max_command_attempts = 1;
            connection.reconnect_on_auth_error = true;
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build()
        .map_err(|error| ConnectError::Url(error.details().to_owned()))
}
