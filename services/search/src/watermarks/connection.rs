//! The Redis connection of the watermarks. A command fails within a fixed time, and the client reconnects forever.

use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, RespVersion};

/// The timeout of a command and of a connection attempt.
const COMMAND: Duration = Duration::from_millis(500);

/// A Redis URL that cannot be used. The message does not contain the URL, because it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db")]
pub struct RedisUrlError(String);

pub(super) fn connect(url: &str) -> Result<Client, RedisUrlError> {
    let bad = |error: fred::error::Error| RedisUrlError(error.details().to_owned());
    let mut config = Config::from_url(url).map_err(bad)?;
    config.version = RespVersion::RESP3;
    // If Redis is unavailable at the start, the client keeps trying to connect.
    config.fail_fast = false;
    let client = Builder::from_config(config)
        .with_performance_config(|performance: &mut PerformanceConfig| performance.default_command_timeout = COMMAND)
        .with_connection_config(|connection: &mut ConnectionConfig| {
            connection.connection_timeout = COMMAND;
            connection.internal_command_timeout = COMMAND;
            connection.max_command_attempts = 1;
            connection.reconnect_on_auth_error = true;
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build()
        .map_err(bad)?;
    client.connect();
    Ok(client)
}
