//! Connections to Redis with a timeout for each command, which reconnect forever.
//!
//! Every client of this workspace comes from here, except those of `crates/cache`, which depends on no other crate.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, InfoKind, RespVersion};
use tokio::time::sleep;

pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns a client builder; a command takes `timeout` at most, and is never sent again.
pub(crate) fn builder(url: &str, timeout: Duration) -> Result<Builder, RedisUrlError> {
    let mut config = Config::from_url(url).map_err(|error| RedisUrlError::from(&error))?;
    config.version = RespVersion::RESP3;
    // If Redis is unavailable at the start, the client waits for it instead of failing.
    config.fail_fast = false;
    let mut builder = Builder::from_config(config);
    builder
        .with_performance_config(|performance: &mut PerformanceConfig| {
            performance.default_command_timeout = timeout;
        })
        .with_connection_config(|connection: &mut ConnectionConfig| {
            connection.connection_timeout = Duration::from_millis(500);
            connection.internal_command_timeout = Duration::from_millis(500);
            connection.max_command_attempts = 1;
            connection.reconnect_on_auth_error = true;
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100));
    Ok(builder)
}

/// Returns a client that is not connected yet; a command takes `timeout` at most, and is never sent again.
///
/// # Errors
/// Returns an error if the URL cannot be used.
pub fn client(url: &str, timeout: Duration) -> Result<Client, RedisUrlError> {
    builder(url, timeout)?.build().map_err(|error| RedisUrlError::from(&error))
}

/// The interval between two pings, and the number of unanswered pings after which the client reconnects.
const LOOK: Duration = Duration::from_millis(500);
const SILENT: u32 = 3;

/// Reconnects `client` when its server stops responding. If a peer vanishes without closing the connection, the
/// connection looks open for a quarter of an hour, and a client that only listens never notices. Never returns.
pub async fn reconnect_when_silent(client: &impl ClientLike) {
    loop {
        wait_for_silence(client).await;
        let _ = client.force_reconnection().await;
    }
}

/// Returns when the server has not responded for some time.
pub(crate) async fn wait_for_silence(client: &impl ClientLike) {
    let mut silent = 0;
    while silent < SILENT {
        sleep(LOOK).await;
        let unanswered = client.ping::<()>(None).await.err().is_some_and(|error| is_silence(error.kind()));
        silent = if unanswered { silent + 1 } else { 0 };
    }
}

/// Returns whether the error means that the server did not respond; a refusal is a response.
fn is_silence(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled)
}

/// Returns the run id of the server, which changes with every restart.
///
/// If `INFO` is refused, is unknown or shows no `run_id` (managed services), each call returns a different id: a server
/// that cannot be recognised counts as restarted. The callers query the id once per connection.
pub(crate) async fn run_id(client: &Client) -> Result<String, Error> {
    let info: String = match client.info(Some(InfoKind::Server)).await {
        // `ERR`: the command was renamed.
        Err(error) if ["NOPERM", "ERR "].iter().any(|refusal| error.details().starts_with(refusal)) => String::new(),
        info => info?,
    };
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::trim).filter(|id| !id.is_empty());
    Ok(line.map_or_else(|| format!("hidden-{:032x}", rand::random::<u128>()), str::to_owned))
}

/// A Redis URL that cannot be used. The message omits the URL, because it may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db")]
pub struct RedisUrlError(String);

impl From<&Error> for RedisUrlError {
    fn from(error: &Error) -> Self {
        Self(error.details().to_owned())
    }
}
