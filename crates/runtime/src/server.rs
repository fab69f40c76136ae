//! The HTTP server: starts on the caller's listener, and stops when the caller cancels a token.
//!
//! The shutdown is a sequence. t=0: the shutdown token is cancelled, and `/readyz` returns 503. t=`drain_delay`: the
//! listener and the idle connections close; requests in progress continue. At t=`drain_delay`+`grace` at the latest,
//! the remaining connections are closed, and [`serve`] returns.
//!
//! `Connection` lies between each socket and the HTTP parser of actix. It limits how long a client may take, and
//! responds to input that never becomes a request. Therefore the server is built from the parts of actix, and not with
//! its `HttpServer`.

mod connection;
mod exchange;
mod files;
mod gate;
mod head_end;
mod refusal;
mod signals;

use std::future::ready;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::{HttpService, KeepAlive, Request};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::dev::{AppConfig, Extensions, Server, fn_service};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpMessage as _, HttpResponse, ResponseError, web};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use crate::http_metrics::HttpMetrics;
use crate::operations::OperationsAccess;
use crate::problem::{self, BodyTimeout};
use crate::response_middleware::ResponseMiddleware;

pub(crate) use exchange::{ConnectionPhase, FinishOnDrop};
pub use signals::shutdown_on_signals;

use connection::Connection;
use gate::ConnectionLimiter;

/// The number of connections that may wait to be accepted; the 128 of std overflow when a thousand clients connect at
/// once.
const BACKLOG: u32 = 1024;

/// The server panics above this number of workers.
const MAX_WORKERS: usize = 512;

/// The semaphore panics above the number that it can count; this bound is below it.
const MAX_CONNECTIONS: usize = 1_000_000;

/// How long the rest of an unread body is discarded, so that its client receives the response.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// The `[http]` section of every service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 selects a free one.
    pub port: u16,
    /// Worker threads; 0 means one per core.
    #[serde(deserialize_with = "workers")]
    pub workers: usize,
    /// The maximum number of connected clients; further clients receive 503.
    #[serde(deserialize_with = "connections")]
    pub max_connections: usize,
    /// How long an idle connection is kept.
    #[serde(deserialize_with = "positive")]
    pub keep_alive: Duration,
    /// How long a client may take to send a request line and headers, from their first byte.
    #[serde(deserialize_with = "positive")]
    pub headers_timeout: Duration,
    /// How long a client may take to send a body.
    #[serde(deserialize_with = "positive")]
    pub body_timeout: Duration,
    /// How long a client may accept no byte of a response.
    #[serde(deserialize_with = "positive")]
    pub write_timeout: Duration,
    /// How long `/readyz` returns "draining" before the listener closes.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// How long requests in progress may take to end, in whole seconds.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

/// Ends long-lived responses: without this token, the drain would wait for them.
#[derive(Clone, Debug)]
pub(crate) struct ShutdownSignal(pub(crate) CancellationToken);

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            workers: 0,
            max_connections: 4096,
            keep_alive: Duration::from_secs(75),
            headers_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            grace: Duration::from_secs(10),
        }
    }
}

impl HttpSettings {
    /// Opens the listener. Requires a tokio runtime.
    pub fn bind(&self) -> io::Result<TcpListener> {
        let address = SocketAddr::new(self.host, self.port);
        listen(address).map_err(|error| {
            let reason = format!("HTTP__HOST and HTTP__PORT: cannot listen on {address}: {error}");
            io::Error::new(error.kind(), reason)
        })
    }

    fn threads(&self) -> io::Result<usize> {
        match self.workers {
            0 => std::thread::available_parallelism().map(usize::from),
            some => Ok(some.min(MAX_WORKERS)),
        }
    }
}

/// Checked with the other settings, and not by the server after the stores have been used.
fn workers<'de, D: Deserializer<'de>>(number: D) -> Result<usize, D::Error> {
    match usize::deserialize(number)? {
        some @ 0..=MAX_WORKERS => Ok(some),
        some => Err(D::Error::custom(format!("must be at most {MAX_WORKERS}, not {some}"))),
    }
}

fn connections<'de, D: Deserializer<'de>>(number: D) -> Result<usize, D::Error> {
    match usize::deserialize(number)? {
        some @ 1..=MAX_CONNECTIONS => Ok(some),
        some => Err(D::Error::custom(format!("must be between 1 and {MAX_CONNECTIONS}, not {some}"))),
    }
}

/// Rejects zero: a time limit of zero would refuse every request.
fn positive<'de, D: Deserializer<'de>>(duration: D) -> Result<Duration, D::Error> {
    match humantime_serde::deserialize(duration)? {
        Duration::ZERO => Err(D::Error::custom("must be above zero")),
        some => Ok(some),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Without this, a restart would wait until the system forgets the connections of the previous run.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Serves until `shutdown` is cancelled and the requests in progress have ended.
///
/// `configure` runs once per worker and mounts the service's routes. The metrics and problem+json middleware already
/// wraps them.
pub async fn serve<F>(
    listener: TcpListener,
    settings: &HttpSettings,
    shutdown: CancellationToken,
    configure: F,
) -> io::Result<()>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let stopping = ShutdownSignal(shutdown.clone());
    let access = OperationsAccess::of(&listener);
    let body_timeout = BodyTimeout(settings.body_timeout);
    let metrics = HttpMetrics::default();
    let app = move || {
        App::new()
            .app_data(stopping.clone())
            .app_data(body_timeout)
            // The default, unless the service applies its own access rule.
            .app_data(access.clone())
            // The last middleware wraps the others.
            .wrap(ResponseMiddleware)
            .wrap(metrics.clone())
            .configure(problem::configure)
            .configure(configure.clone())
    };
    let grace = settings.grace.as_secs() + u64::from(settings.grace.subsec_nanos() > 0);
    let max_connections = files::connections_that_fit(settings.max_connections);
    let gate = ConnectionLimiter::new(&HttpSettings { max_connections, ..settings.clone() });
    let server = Server::build()
        .workers(settings.threads()?)
        // Above the limit of the connection limiter, so that the limiter refuses connections, with a response.
        .max_concurrent_connections(2 * max_connections)
        .shutdown_timeout(grace)
        .disable_signals();
    let draining = server.graceful_shutdown_signal();
    let http = move || {
        let (gate, draining) = (gate.clone(), draining.clone());
        let app = app().into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            // The connection has its own time limits, for every request and not only the first.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(DISCARD_TIME)
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
                data.insert(connection.exchange().clone());
            })
            .expect(fn_service(async |request: Request| match problem::check_declared_length(request.headers()) {
                Ok(()) => Ok(request),
                Err(problem) => Err::<_, HttpResponse>(problem.error_response()),
            }))
            .h1(map_config(app, |()| AppConfig::default()));
        let admit = fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(gate.admit(stream).map(|connection| (connection, peer)))
        });
        admit.and_then(http)
    };
    let mut server = server.listen("http", listener, http)?.run();

    let handle = server.handle();
    let stop = async {
        shutdown.cancelled().await;
        tokio::time::sleep(settings.drain_delay).await;
        handle.stop(true).await;
    };
    tokio::select! {
        ended = &mut server => return ended,
        () = stop => {}
    }
    server.await
}
