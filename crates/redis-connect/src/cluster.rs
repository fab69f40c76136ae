//! The server of a key in a cluster.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, ClusterInterface};
use fred::types::config::Server;
use fred::util::redis_keyslot;

use crate::RedisAddress;
use crate::address::Target;
use crate::builder::RedisClients;
use crate::connected::connected;

/// Returns the primary that has the slot of `key`, as the client knows the cluster; `None` for a client of one server.
///
/// # Errors
/// Returns an error if no primary is known for the slot.
pub fn primary_of(client: &Client, key: &str) -> Result<Option<Server>, Error> {
    if !client.is_clustered() {
        return Ok(None);
    }
    let known = client.cached_cluster_state();
    let server = known.as_ref().and_then(|known| known.get_server(redis_keyslot(key.as_bytes()))).cloned();
    server.map(Some).ok_or_else(|| Error::new(ErrorKind::Cluster, "no server of the cluster has the slot"))
}

/// Returns the address of the primary that has the slot of `key`; the same address, if it leads to one server. Waits until
/// the cluster can be reached.
///
/// # Errors
/// Returns an error if a node refuses the login, or if no primary has the slot.
pub async fn address_of_primary(address: &RedisAddress, key: &str, timeout: Duration) -> Result<RedisAddress, Error> {
    if !address.is_cluster() {
        return Ok(address.clone());
    }
    let client = address.client(timeout);
    let connection = client.connect();
    connected(&client).await?;
    let server = primary_of(&client, key);
    // The server also notices a dropped connection.
    let _ = client.quit().await;
    connection.abort();
    let target = server?
        .map_or(address.target.clone(), |server| Target::Tcp { host: server.host.to_string(), port: server.port });
    Ok(RedisAddress { target, ..address.clone() })
}
