//! One HTTP/1.1 connection of one session, kept open, one request at a time: the cheapest client that is a whole one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cache_status::Source;

/// A replica that takes longer has not answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to one replica, opened when it is needed.
#[derive(Debug)]
pub(crate) struct Connection {
    authority: String,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its `Cache-Status` (RFC 9211), empty when there is none.
    pub cache_status: String,
    /// Its body.
    pub body: Bytes,
}

impl Connection {
    /// To `http://host:port`.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let authority = url.strip_prefix("http://").with_context(|| format!("{url} is not an http:// address"))?;
        Ok(Self { authority: authority.trim_end_matches('/').to_owned(), open: None })
    }

    /// Sends a request and reads the whole answer. A connection that breaks is opened anew the next time.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer> {
        let answer = timeout(PATIENCE, self.exchange(method, path, body)).await;
        let answer = answer.unwrap_or_else(|_| bail!("no answer within {PATIENCE:?}"));
        if answer.is_err() {
            self.open = None;
        }
        answer.with_context(|| format!("{}{path}", self.authority))
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.authority);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default()))?;
        let connection = self.connection().await?;
        let answer = connection.send_request(request).await?;
        let cache_status = answer.headers().get("cache-status").and_then(|value| value.to_str().ok());
        let cache_status = cache_status.unwrap_or_default().to_owned();
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, cache_status, body })
    }

    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.open {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(&self.authority).await?;
            stream.set_nodelay(true)?;
            let (connection, driver) = handshake(TokioIo::new(stream)).await?;
            // It ends with the connection, which ends with this value.
            tokio::spawn(driver);
            self.open = Some(connection);
        }
        self.open.as_mut().context("it was opened just now")
    }
}

impl Answer {
    /// Where it came from.
    pub(crate) fn source(&self) -> Source {
        Source::parse(&self.cache_status)
    }

    /// Whether a cache held it, or holds it now; taken for granted where nobody says.
    pub(crate) fn kept(&self) -> bool {
        match self.source() {
            Source::Hit | Source::Stale | Source::Uncached => true,
            Source::Miss => self.cache_status.rsplit(';').any(|part| part.trim() == "stored"),
            Source::Collapsed | Source::Bypass => false,
        }
    }
}
