//! The client library's configuration: one attempt and one time limit for each command, and reconnects forever.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fred::clients::{Client, SubscriberClient};
use fred::error::{Error, ErrorKind};
use fred::types::config::{
    ClusterDiscoveryPolicy, Config, ConnectionConfig, CredentialProvider, PerformanceConfig, ReconnectPolicy, Server,
    ServerConfig, TcpConfig,
};
use fred::types::{Builder, RespVersion};

use crate::RedisAddress;
use crate::address::Target;
use crate::credentials::Credentials;
use crate::sentinel::Sentinels;

/// The longest time to connect, and to log in.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest time for which a node of a cluster may leave a command unanswered before it is connected again.
const SILENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts to connect, in milliseconds.
const RECONNECT_MS: u32 = 100;

/// The clients of the library fred for an address. A trait, so that crates can show the address to their users without the
/// library.
pub trait RedisClients {
    /// Returns a client that is not connected yet. It speaks RESP3. A command takes `timeout` at most (zero: no limit), and
    /// is never sent again. While Redis cannot be reached, also at the start, the client tries again ten times a second.
    fn client(&self, timeout: Duration) -> Client;

    /// Returns a client for channels, with the same settings. It buffers up to `messages` messages for a slow receiver.
    fn subscriber(&self, timeout: Duration, messages: usize) -> SubscriberClient;
}

impl RedisClients for RedisAddress {
    fn client(&self, timeout: Duration) -> Client {
        self.builder(timeout).build().expect("a builder with a configuration")
    }

    fn subscriber(&self, timeout: Duration, messages: usize) -> SubscriberClient {
        let mut builder = self.builder(timeout);
        builder.with_performance_config(|performance| performance.broadcast_channel_capacity = messages);
        builder.build_subscriber_client().expect("a builder with a configuration")
    }
}

impl RedisAddress {
    fn builder(&self, timeout: Duration) -> Builder {
        let server = match &self.target {
            Target::Tcp { host, port } => ServerConfig::Centralized { server: Server::new(host.as_str(), *port) },
            Target::Unix(path) => ServerConfig::Unix { path: path.clone() },
            Target::Cluster(hosts) => {
                ServerConfig::Clustered { hosts: servers(hosts), policy: ClusterDiscoveryPolicy::UseCache }
            }
            Target::Sentinels(Sentinels { service, hosts, .. }) => {
                ServerConfig::Sentinel { hosts: servers(hosts), service_name: service.clone() }
            }
        };
        let sentinels = match &self.target {
            Target::Sentinels(sentinels) => Some(sentinels.clone()),
            Target::Tcp { .. } | Target::Unix(_) | Target::Cluster(_) => None,
        };
        let mut config = Config {
            server,
            version: RespVersion::RESP3,
            fail_fast: false,
            database: Some(self.database()).filter(|database| *database != 0),
            credential_provider: Some(Arc::new(Logins { server: self.credentials().clone(), sentinels })),
            ..Config::default()
        };
        if let Some(tls) = &self.tls {
            tls.configure(&mut config);
        }
        let is_cluster = self.is_cluster();
        let mut builder = Builder::from_config(config);
        builder
            .with_performance_config(|performance: &mut PerformanceConfig| {
                performance.default_command_timeout = timeout;
            })
            .with_connection_config(|connection: &mut ConnectionConfig| {
                connection.connection_timeout = CONNECT_TIMEOUT;
                connection.internal_command_timeout = CONNECT_TIMEOUT;
                connection.max_command_attempts = 1;
                // A command that receives MOVED fails once, and fred then knows the new owner of the slot. fred must
                // not follow ASK: it would mistake the next reply on the connection, even that of another command, for
                // the reply to its ASKING.
                connection.max_redirections = 0;
                connection.reconnect_on_auth_error = true;
                // For a cluster, where a forced reconnect would keep a node that has stopped responding.
                connection.unresponsive.max_timeout = is_cluster.then_some(SILENCE);
                connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
            })
            .set_policy(ReconnectPolicy::new_constant(0, RECONNECT_MS));
        builder
    }
}

fn servers(hosts: &[(String, u16)]) -> Vec<Server> {
    hosts.iter().map(|(host, port)| Server::new(host.as_str(), *port)).collect()
}

/// What fred asks before each login.
#[derive(Debug)]
pub(crate) struct Logins {
    pub(crate) server: Credentials,
    pub(crate) sentinels: Option<Sentinels>,
}

#[async_trait]
impl CredentialProvider for Logins {
    async fn fetch(&self, server: Option<&Server>) -> Result<(Option<String>, Option<String>), Error> {
        let asked = self.sentinels.as_ref().filter(|all| server.is_some_and(|server| all.is_sentinel(server.port)));
        let credentials = asked.map_or(&self.server, |sentinels| &sentinels.credentials);
        let current = credentials.current().await.map_err(|error| Error::new(ErrorKind::IO, error.to_string()))?;
        Ok(current.map_or((None, None), |(user, password)| (Some(user), Some(password))))
    }
}
