//! Opens connections to Postgres: to one of the hosts in the URL, with a watchdog. TLS is not supported, so a URL that
//! requires it is refused.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use rand::seq::SliceRandom;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::config::{Config, Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tracing::warn;

use crate::session::SESSION_SETUP;
use crate::sqlstate;
use crate::watchdog::{ConnectionState, Generation, WatchedStream};

const NO_TLS: &str = "it says `sslmode=require`, and this program does not speak TLS to Postgres; let a proxy on this machine \
    do that, or leave `sslmode` out where the network is private";

/// A new connection and its observed state.
pub(crate) struct NewConnection {
    pub(crate) session: AsyncPgConnection,
    pub(crate) connection_state: Arc<ConnectionState>,
}

/// Why a connection failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The URL is invalid, or requires something unsupported.
    #[error("{0}")]
    Settings(String),
    /// Postgres has refused the login.
    #[error("{message}")]
    Refused { sqlstate: String, message: String },
    /// No server responded.
    #[error("error connecting to server: {0}")]
    Unreachable(String),
}

impl ConnectError {
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Refused { sqlstate, .. } => Some(sqlstate),
            Self::Settings(_) | Self::Unreachable(_) => None,
        }
    }

    /// Returns whether another attempt would fail in the same way until the configuration is changed.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Refused { sqlstate, .. } => sqlstate::refuses_login_for_good(sqlstate),
            Self::Unreachable(_) => false,
        }
    }
}

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            let (sqlstate, message) = (refusal.code().code().to_owned(), refusal.message().to_owned());
            return Self::Refused { sqlstate, message };
        }
        let is_io = error.source().is_some_and(|source| source.is::<io::Error>());
        if is_io || error.is_closed() {
            Self::Unreachable(error.to_string())
        } else {
            Self::Settings(error.to_string())
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// Connects, and runs [`SESSION_SETUP`] and then `setup`. Afterwards, the connection is closed if a request stays
/// unanswered for `silence`.
///
/// # Errors
/// Returns an error if the URL cannot be used, or none of its hosts accepts the connection.
pub async fn establish(url: &str, setup: &str, silence: Duration) -> ConnectionResult<AsyncPgConnection> {
    let opened = open(url, setup, Some(silence), Arc::default()).await;
    opened.map(|opened| opened.session).map_err(|error| ConnectionError::BadConnection(error.to_string()))
}

/// Opens a connection of `generation`, as [`establish`]; with `None`, a request may stay unanswered without a limit.
pub(crate) async fn open(
    url: &str, setup: &str, silence: Option<Duration>, generation: Arc<Generation>,
) -> Result<NewConnection, ConnectError> {
    let config = Config::from_str(url).map_err(|error| ConnectError::Settings(error.to_string()))?;
    // Checked before a password is sent.
    if config.get_ssl_mode() == SslMode::Require {
        return Err(ConnectError::Settings(NO_TLS.to_owned()));
    }
    let mut last = ConnectError::Settings("invalid configuration: there is no host in the URL".to_owned());
    let mut addresses = addresses(&config);
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        addresses.shuffle(&mut rand::rng());
    }
    let setup = format!("{SESSION_SETUP}; {setup}");
    for address in addresses {
        let connection_state = Arc::new(ConnectionState::new(silence, Arc::clone(&generation)));
        let attempt = attempt(&config, &address, &setup, Arc::clone(&connection_state));
        let attempted = match config.get_connect_timeout() {
            Some(limit) => timeout(*limit, attempt)
                .await
                .unwrap_or_else(|_| Err(ConnectError::Unreachable(format!("no answer within {limit:?}")))),
            None => attempt.await,
        };
        match attempted {
            Ok(client) => {
                let session = AsyncPgConnection::try_from(client).await;
                let session = session.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
                return Ok(NewConnection { session, connection_state });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The address of one host of the URL.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Tcp(String, u16),
    Unix(std::path::PathBuf),
}

/// Returns the hosts of the URL with their ports; a `hostaddr` replaces the name of its host.
fn addresses(config: &Config) -> Vec<Address> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let address = |index: usize| match (addresses.get(index), hosts.get(index)) {
        (Some(address), _) => Some(Address::Tcp(address.to_string(), port(index))),
        (None, Some(Host::Tcp(name))) => Some(Address::Tcp(name.clone(), port(index))),
        (None, Some(Host::Unix(directory))) => Some(Address::Unix(directory.join(format!(".s.PGSQL.{}", port(index))))),
        (None, None) => None,
    };
    (0..hosts.len().max(addresses.len())).filter_map(address).collect()
}

async fn attempt(
    config: &Config, address: &Address, setup: &str, connection_state: Arc<ConnectionState>,
) -> Result<Client, ConnectError> {
    let client = match address {
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            keep_alive(&stream);
            login(config, stream, connection_state).await?
        }
        Address::Unix(path) => login(config, UnixStream::connect(path).await?, connection_state).await?,
    };
    // Before any other statement: until then, a session setting may leave statements no time at all.
    client.batch_execute(setup).await?;
    let wanted = match config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => "off",
        TargetSessionAttrs::ReadOnly => "on",
        _ => return Ok(client),
    };
    let said = client.simple_query("SHOW transaction_read_only").await?;
    let is_wanted =
        |said: &SimpleQueryMessage| matches!(said, SimpleQueryMessage::Row(row) if row.get(0) == Some(wanted));
    if said.iter().any(is_wanted) {
        return Ok(client);
    }
    Err(ConnectError::Unreachable(
        "the server does not have the properties that target_session_attrs asks for".to_owned(),
    ))
}

/// Lets TCP check connections without a silence limit: a vanished host is noticed within half a minute.
fn keep_alive(stream: &TcpStream) {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)).with_retries(3);
    // A failure here only delays packets and checks; it is not an error.
    let _ = (stream.set_nodelay(true), SockRef::from(stream).set_tcp_keepalive(&keepalive));
}

/// Logs in, and drives the connection until the client is dropped or the connection fails.
async fn login(
    config: &Config, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    connection_state: Arc<ConnectionState>,
) -> Result<Client, ConnectError> {
    let watched = WatchedStream::new(stream, Arc::clone(&connection_state));
    let (client, mut connection) = config.connect_raw(watched, NoTls).await?;
    tokio::spawn(async move {
        let ended = loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        connection_state.close();
        let Some(error) = ended else { return };
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        if source.is_some_and(|source| source.kind() == io::ErrorKind::TimedOut) {
            warn!(%error, "a connection to Postgres does not answer and is closed");
            connection_state.lose_server();
        }
    });
    Ok(client)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn unresponsive_server_fails_the_connection_attempt() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("postgres://shop:secret@{}/shop_db", silent.local_addr().expect("an address"));
        let began = Instant::now();
        let Err(error) = establish(&url, "", Duration::from_millis(200)).await else { panic!("it answered") };
        assert!(began.elapsed() >= Duration::from_millis(200));
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn url_that_requires_tls_is_refused_before_anything_is_sent() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("an address");
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgres://shop:secret@{address}/shop_db?sslmode={mode}");
            let Err(error) = open(&url, "", None, Arc::default()).await else { panic!("{mode} is ignored") };
            assert!(error.is_lasting(), "another attempt would end alike: {error}");
            assert!(mode != "require" || error.to_string().contains("sslmode"), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let accepted = timeout(Duration::from_millis(50), server.accept()).await;
        assert!(accepted.is_err(), "no server was asked");
    }

    #[test]
    fn every_host_of_the_url_becomes_an_address() {
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
        let cases = [
            ("postgres://u@db/d", vec![tcp("db", 5432)]),
            ("postgres://u@a:1,b:2/d", vec![tcp("a", 1), tcp("b", 2)]),
            ("host=a,b port=7 user=u", vec![tcp("a", 7), tcp("b", 7)]),
            ("host=a hostaddr=10.0.0.1 user=u", vec![tcp("10.0.0.1", 5432)]),
            ("host=/run/pg user=u", vec![Address::Unix("/run/pg/.s.PGSQL.5432".into())]),
            ("user=u", vec![]),
        ];
        for (url, expected) in cases {
            assert_eq!(addresses(&Config::from_str(url).expect(url)), expected, "{url}");
        }
    }
}
