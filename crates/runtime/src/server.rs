//! The HTTP server: starts on a listener that the caller gives, stops when the caller says.
//!
//! Going down is a sequence. t=0: the shutdown token is cancelled, `/readyz` turns 503.
//! t=`drain_delay`: the listener closes, idle connections too, requests under way go on.
//! At the latest at t=`drain_delay`+`grace` the rest is cut off and [`serve`] returns.

mod signals;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use crate::http_metrics::HttpMetrics;
use crate::operations::Access;
use crate::problem;

pub use signals::shutdown_on_signals;

/// Connections that may wait to be accepted; std's 128 overflows when a thousand come at once.
const BACKLOG: u32 = 1024;

/// The server panics above this.
const MOST_WORKERS: usize = 512;

/// The `[http]` section of every service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Worker threads; 0 means one per core.
    #[serde(deserialize_with = "workers")]
    pub workers: usize,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long `/readyz` says "draining" before the listener closes.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// How long requests under way may take to end, in whole seconds.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

/// For answers that last: they end with this token, or the drain would wait for them.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(pub(crate) CancellationToken);

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            workers: 0,
            keep_alive: Duration::from_secs(75),
            drain_delay: Duration::ZERO,
            grace: Duration::from_secs(10),
        }
    }
}

impl HttpSettings {
    /// Opens the listener. Needs a tokio runtime around it.
    pub fn bind(&self) -> io::Result<TcpListener> {
        let address = SocketAddr::new(self.host, self.port);
        listen(address).map_err(|error| {
            let reason = format!("HTTP__HOST and HTTP__PORT: can't listen at {address}: {error}");
            io::Error::new(error.kind(), reason)
        })
    }

    fn threads(&self) -> io::Result<usize> {
        match self.workers {
            0 => std::thread::available_parallelism().map(usize::from),
            some => Ok(some.min(MOST_WORKERS)),
        }
    }
}

/// Refused here, with the other settings, and not by the server when the stores have been touched.
fn workers<'de, D: Deserializer<'de>>(number: D) -> Result<usize, D::Error> {
    match usize::deserialize(number)? {
        some @ 0..=MOST_WORKERS => Ok(some),
        some => Err(D::Error::custom(format!("must be at most {MOST_WORKERS}, not {some}"))),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Or a restart would wait for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Serves until `shutdown` is cancelled and the requests under way have ended.
///
/// `configure` runs once per worker and mounts the service's routes; metrics and problem+json
/// are around them already.
pub async fn serve<F>(
    listener: TcpListener,
    settings: &HttpSettings,
    shutdown: CancellationToken,
    configure: F,
) -> io::Result<()>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let stopping = Stopping(shutdown.clone());
    let access = Access::of(&listener);
    let app = move || {
        App::new()
            .app_data(stopping.clone())
            // Unless the service applies a rule of its own.
            .app_data(access.clone())
            .wrap(HttpMetrics)
            .configure(problem::configure)
            .configure(configure.clone())
    };
    let grace = settings.grace.as_secs() + u64::from(settings.grace.subsec_nanos() > 0);
    let mut server = HttpServer::new(app)
        .workers(settings.threads()?)
        .keep_alive(settings.keep_alive)
        // A pooled connection may be silent from the start; a 408 on it would be taken for the answer to a later request.
        .client_request_timeout(settings.keep_alive)
        .shutdown_timeout(grace)
        .disable_signals()
        .listen(listener)?
        .run();

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
