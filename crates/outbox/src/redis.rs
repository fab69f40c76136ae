//! What the relay and the consumers need from Redis besides their streams.

use std::time::Duration;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::InfoKind;
use fred::types::config::Options;
use redis_connect::primary_of;

pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns the run id of the server that has this stream. It changes with every restart, and on a cluster also when the
/// stream moves to another server.
///
/// If `INFO` is refused, is unknown or shows no `run_id` (managed services), each call returns a different id: a server
/// that cannot be recognised counts as restarted. The callers query the id once per connection.
pub(crate) async fn run_id(client: &Client, stream: &str) -> Result<String, Error> {
    let server = Options { cluster_node: primary_of(client, stream)?, ..Options::default() };
    let info: String = match client.with_options(&server).info(Some(InfoKind::Server)).await {
        // `ERR`: the command was renamed.
        Err(error) if ["NOPERM", "ERR "].iter().any(|refusal| error.details().starts_with(refusal)) => String::new(),
        info => info?,
    };
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::trim).filter(|id| !id.is_empty());
    Ok(line.map_or_else(|| format!("hidden-{:032x}", rand::random::<u128>()), str::to_owned))
}
