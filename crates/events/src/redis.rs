//! Connections to Redis that fail a command in time, and reconnect for ever.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, InfoKind, RespVersion};
use tokio::time::sleep;

use crate::RedisUrlError;

/// The longest that a command which does not block may take.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// A client to be built; a command takes `timeout` at most and is never sent again.
pub(crate) fn builder(url: &str, timeout: Duration) -> Result<Builder, RedisUrlError> {
    let mut config = Config::from_url(url).map_err(|error| RedisUrlError::from(&error))?;
    config.version = RespVersion::RESP3;
    // A Redis that is away at the start is waited for, not given up.
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

/// How often it is looked whether somebody is there, and after how many looks without an answer the connection is made
/// anew.
const LOOK: Duration = Duration::from_millis(500);
const SILENT: u32 = 3;

/// Sees to it that `client` does not stay on a dead connection: a peer that vanished without a word leaves one that looks
/// open for a quarter of an hour, and whoever only listens never notices. Never returns.
pub async fn reconnect_when_silent(client: &impl ClientLike) {
    loop {
        wait_for_silence(client).await;
        let _ = client.force_reconnection().await;
    }
}

/// Returns when nobody has answered for some time.
pub(crate) async fn wait_for_silence(client: &impl ClientLike) {
    let mut silent = 0;
    while silent < SILENT {
        sleep(LOOK).await;
        let unanswered = client.ping::<()>(None).await.err().is_some_and(|error| is_silence(error.kind()));
        silent = if unanswered { silent + 1 } else { 0 };
    }
}

/// Whether nobody answered; a refusal is an answer.
fn is_silence(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled)
}

/// Returns which run of a server this is: another one after every restart.
///
/// Where `INFO` is refused, is unknown or shows no `run_id` (managed services), each call returns another one: a server that cannot be
/// recognised counts as restarted. The callers ask once for each connection.
pub(crate) async fn run_id(client: &Client) -> Result<String, Error> {
    let info: String = match client.info(Some(InfoKind::Server)).await {
        // `ERR`: the command was renamed.
        Err(error) if ["NOPERM", "ERR "].iter().any(|refusal| error.details().starts_with(refusal)) => String::new(),
        info => info?,
    };
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::trim).filter(|id| !id.is_empty());
    Ok(line.map_or_else(|| format!("hidden-{:032x}", rand::random::<u128>()), str::to_owned))
}

impl From<&Error> for RedisUrlError {
    fn from(error: &Error) -> Self {
        Self(error.details().to_owned())
    }
}
