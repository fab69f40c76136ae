//! Connections that notice when nobody answers any more.
//!
//! A peer that vanished without a word, or a proxy that hangs, leaves a connection that looks open. `statement_timeout` is
//! kept by Postgres and does not help then, and neither does TCP while something in between acknowledges. So a connection
//! on which a request stays without any answer for longer than every statement may take is closed; whoever waits on it
//! hears that, and the pool does not hand it out again.

use std::error::Error as _;
use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_postgres::NoTls;
use tokio_postgres::config::{Config, Host, SslMode};
use tracing::warn;

/// The end of everything that Postgres says before it waits for the next request: `ReadyForQuery`, and a byte of state.
const READY: [u8; 5] = [b'Z', 0, 0, 0, 5];

/// Connects, and from then on closes the connection when a request stays unanswered for `silence`; then `vanished` is
/// called. Over a Unix socket there is nothing in between, and with TLS it is left to TCP: those connections are plain
/// ones.
pub async fn establish(
    url: &str,
    silence: Duration,
    vanished: impl FnOnce() + Send + 'static,
) -> ConnectionResult<AsyncPgConnection> {
    let config = Config::from_str(url).map_err(|error| refused(&error))?;
    let Some((host, port)) = place(&config) else { return AsyncPgConnection::establish(url).await };
    let stream = TcpStream::connect((host, port)).await;
    let stream =
        stream.map_err(|error| ConnectionError::BadConnection(format!("error connecting to server: {error}")))?;
    // What is late then is late, and not wrong.
    let _ = stream.set_nodelay(true);
    let watched = Watched { stream, silence, waiting: None };
    let (client, connection) = config.connect_raw(watched, NoTls).await.map_err(|error| refused(&error))?;
    // It ends when the client is dropped.
    tokio::spawn(async move {
        let Err(error) = connection.await else { return };
        let source = error.source().and_then(|source| source.downcast_ref::<Error>());
        if source.is_some_and(|source| source.kind() == ErrorKind::TimedOut) {
            warn!(%error, "a connection to Postgres is given up");
            vanished();
        }
    });
    AsyncPgConnection::try_from(client).await
}

/// Where to connect to, if it is one place that is reached over TCP without TLS.
fn place(config: &Config) -> Option<(&str, u16)> {
    match (config.get_hosts(), config.get_ports(), config.get_ssl_mode()) {
        ([Host::Tcp(host)], ports, SslMode::Disable | SslMode::Prefer) => {
            Some((host, ports.first().copied().unwrap_or(5432)))
        }
        _ => None,
    }
}

fn refused(error: &tokio_postgres::Error) -> ConnectionError {
    let said = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    ConnectionError::BadConnection(said)
}

/// A stream on which an answer is awaited from a write until Postgres is ready for the next request.
#[derive(Debug)]
struct Watched {
    stream: TcpStream,
    silence: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn heard(&mut self, bytes: &[u8]) {
        let ready = bytes.len().checked_sub(6).is_some_and(|at| bytes[at..].starts_with(&READY));
        if ready || self.waiting.is_none() {
            self.waiting = None;
        } else {
            self.waiting = Some(Box::pin(sleep(self.silence)));
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.heard(&buffer.filled()[before..]);
            return Poll::Ready(read);
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        ready!(waiting.as_mut().poll(context));
        let silence = self.silence;
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, format!("Postgres has said nothing for {silence:?}"))))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        if self.waiting.is_none() {
            self.waiting = Some(Box::pin(sleep(self.silence)));
            // The reader sleeps without a deadline: it has to look again.
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_never_answers_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("postgres://shop:secret@{}/shop_db", silent.local_addr().expect("an address"));
        let began = Instant::now();
        let Err(error) = establish(&url, Duration::from_millis(200), || {}).await else { panic!("it answered") };
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_ends_the_waiting_only_when_it_is_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let silence = Duration::from_secs(1);
        let mut watched = Watched { stream, silence, waiting: Some(Box::pin(sleep(silence))) };
        watched.heard(b"D\0\0\0\x0bhalf a row");
        assert!(watched.waiting.is_some());
        watched.heard(b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I");
        assert!(watched.waiting.is_none());
        watched.heard(b"A\0\0\0\x10a notification");
        assert!(watched.waiting.is_none(), "nobody had asked");
    }
}
