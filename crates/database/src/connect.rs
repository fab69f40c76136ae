//! Opens connections to Postgres: to one of the hosts in the URL, over TLS if the URL asks for it, with a watchdog.

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
use tls_client::TlsClient;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_postgres::config::{Config, Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};
use tracing::warn;

use crate::session::SESSION_SETUP;
use crate::sqlstate;
use crate::tls::{self, secure};
use crate::watchdog::{ConnectionState, Generation, WatchedStream};

/// The time for one attempt at every host of a URL. It is below the default of each limit of the time to connect.
const ALL_HOSTS: Duration = Duration::from_millis(1_500);

const NO_URL: &str = "it asks for TLS, which only a URL can do: `postgres://…?sslmode=verify-full`";

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
    opened.map(|opened| opened.session).map_err(unusable)
}

/// Connects as [`establish`], and returns a receiver of one message for each notification, which ends with the connection.
///
/// # Errors
/// Returns an error if the URL cannot be used, or none of its hosts accepts the connection.
pub async fn establish_listening(
    url: &str, setup: &str, silence: Duration,
) -> ConnectionResult<(AsyncPgConnection, UnboundedReceiver<()>)> {
    let (sender, notifications) = unbounded_channel();
    let opened = open_notified(url, setup, Some(silence), Arc::default(), Some(sender)).await;
    opened.map(|opened| (opened.session, notifications)).map_err(unusable)
}

fn unusable(error: ConnectError) -> ConnectionError {
    ConnectionError::BadConnection(error.to_string())
}

/// Opens a connection of `generation`, as [`establish`]; with `None`, a request may stay unanswered without a limit.
pub(crate) async fn open(
    url: &str, setup: &str, silence: Option<Duration>, generation: Arc<Generation>,
) -> Result<NewConnection, ConnectError> {
    open_notified(url, setup, silence, generation, None).await
}

async fn open_notified(
    url: &str, setup: &str, silence: Option<Duration>, generation: Arc<Generation>,
    notified: Option<UnboundedSender<()>>,
) -> Result<NewConnection, ConnectError> {
    let (url, tls) = tls::split(url).map_err(ConnectError::Settings)?;
    let mut config = Config::from_str(&url).map_err(|error| ConnectError::Settings(error.to_string()))?;
    // Checked before a password is sent.
    if config.get_ssl_mode() == SslMode::Require {
        return Err(ConnectError::Settings(NO_URL.to_owned()));
    }
    // The library sees a plain stream in either case.
    config.ssl_mode(SslMode::Disable);
    let mut last = ConnectError::Settings("invalid configuration: there is no host in the URL".to_owned());
    let mut addresses = addresses(&config);
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        addresses.shuffle(&mut rand::rng());
    }
    let setup = format!("{SESSION_SETUP}; {setup}");
    let limit = config.get_connect_timeout().copied().or_else(|| divided(addresses.len()));
    for address in addresses {
        let connection_state = Arc::new(ConnectionState::new(silence, Arc::clone(&generation)));
        let attempt = Attempt { config: &config, tls: tls.as_ref(), setup: &setup, notified: notified.clone() };
        let attempt = attempt.run(&address, Arc::clone(&connection_state));
        let attempted = match limit {
            Some(limit) => in_time(limit, attempt).await,
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

/// Returns the longest attempt at one of several hosts, if the URL names none: a host that has vanished must not use up the
/// time in which the next one could be reached. The only host has all of that time.
fn divided(hosts: usize) -> Option<Duration> {
    (hosts > 1).then(|| ALL_HOSTS / u32::try_from(hosts).unwrap_or(u32::MAX))
}

/// The address of one host of the URL.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    /// The address, the port, and the name of the host in its certificate.
    Tcp(String, u16, String),
    Unix(std::path::PathBuf),
}

/// Returns the hosts of the URL with their ports; a `hostaddr` replaces the name of its host.
fn addresses(config: &Config) -> Vec<Address> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let address = |index: usize| match (addresses.get(index), hosts.get(index)) {
        (Some(address), Some(Host::Tcp(name))) => Some(Address::Tcp(address.to_string(), port(index), name.clone())),
        (Some(address), _) => Some(Address::Tcp(address.to_string(), port(index), address.to_string())),
        (None, Some(Host::Tcp(name))) => Some(Address::Tcp(name.clone(), port(index), name.clone())),
        (None, Some(Host::Unix(directory))) => Some(Address::Unix(directory.join(format!(".s.PGSQL.{}", port(index))))),
        (None, None) => None,
    };
    (0..hosts.len().max(addresses.len())).filter_map(address).collect()
}

async fn in_time<T>(
    limit: Duration, attempt: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let late = |_| Err(ConnectError::Unreachable(format!("no answer within {limit:?}")));
    timeout(limit, attempt).await.unwrap_or_else(late)
}

/// An attempt to connect to one of the hosts.
struct Attempt<'a> {
    config: &'a Config,
    tls: Option<&'a TlsClient>,
    setup: &'a str,
    notified: Option<UnboundedSender<()>>,
}

impl Attempt<'_> {
    async fn run(self, address: &Address, connection_state: Arc<ConnectionState>) -> Result<Client, ConnectError> {
        let client = match (address, self.tls) {
            (Address::Tcp(host, port, name), tls) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                keep_alive(&stream);
                match (tls, connection_state.silence()) {
                    (None, _) => self.login(stream, connection_state).await?,
                    (Some(tls), None) => self.login(secure(stream, name, tls).await?, connection_state).await?,
                    // The watchdog watches the messages that follow.
                    (Some(tls), Some(silence)) => {
                        let secured = in_time(silence, async { Ok(secure(stream, name, tls).await?) }).await?;
                        self.login(secured, connection_state).await?
                    }
                }
            }
            // As libpq: what does not leave the machine is not encrypted.
            (Address::Unix(path), _) => self.login(UnixStream::connect(path).await?, connection_state).await?,
        };
        // Before any other statement: until then, a session setting may leave statements no time at all.
        client.batch_execute(self.setup).await?;
        let wanted = match self.config.get_target_session_attrs() {
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

    /// Logs in, and drives the connection until the client is dropped or the connection fails.
    async fn login(
        &self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, connection_state: Arc<ConnectionState>,
    ) -> Result<Client, ConnectError> {
        let watched = WatchedStream::new(stream, Arc::clone(&connection_state));
        let (client, mut connection) = self.config.connect_raw(watched, NoTls).await?;
        // Postgres reports it at the login, so it costs no request.
        if connection.parameter("in_hot_standby") == Some("on") {
            connection_state.find_standby();
        }
        let notified = self.notified.clone();
        tokio::spawn(async move {
            let ended = loop {
                match (poll_fn(|context| connection.poll_message(context)).await, &notified) {
                    // Without a receiver, the connection is about to be closed.
                    (Some(Ok(AsyncMessage::Notification(_))), Some(notified)) => drop(notified.send(())),
                    (Some(Ok(_)), _) => {}
                    (Some(Err(error)), _) => break Some(error),
                    (None, _) => break None,
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
}

/// Lets TCP check connections without a silence limit: a vanished host is noticed within half a minute.
fn keep_alive(stream: &TcpStream) {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)).with_retries(3);
    // A failure here only delays packets and checks; it is not an error.
    let _ = (stream.set_nodelay(true), SockRef::from(stream).set_tcp_keepalive(&keepalive));
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
    async fn tls_without_a_url_is_refused_before_anything_is_sent() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("an address");
        let (host, port) = (address.ip(), address.port());
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = format!("host={host} port={port} user=shop password=secret sslmode={mode}");
            let Err(error) = open(&url, "", None, Arc::default()).await else { panic!("{mode} is ignored") };
            assert!(error.is_lasting(), "another attempt would end alike: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let accepted = timeout(Duration::from_millis(50), server.accept()).await;
        assert!(accepted.is_err(), "no server was asked");
    }

    #[test]
    fn every_host_of_the_url_becomes_an_address() {
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port, host.to_owned());
        let named = |address: &str, name: &str| Address::Tcp(address.to_owned(), 5432, name.to_owned());
        let cases = [
            ("postgres://u@db/d", vec![tcp("db", 5432)]),
            ("postgres://u@a:1,b:2/d", vec![tcp("a", 1), tcp("b", 2)]),
            ("host=a,b port=7 user=u", vec![tcp("a", 7), tcp("b", 7)]),
            ("host=a hostaddr=10.0.0.1 user=u", vec![named("10.0.0.1", "a")]),
            ("host=/run/pg user=u", vec![Address::Unix("/run/pg/.s.PGSQL.5432".into())]),
            ("user=u", vec![]),
        ];
        for (url, expected) in cases {
            assert_eq!(addresses(&Config::from_str(url).expect(url)), expected, "{url}");
        }
    }
}
