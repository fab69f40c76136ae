//! One HTTP/1.1 connection of one session, kept open, with one request at a time: a complete client at minimal cost.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cache_status::{CacheStatus, Source, cache_status};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to one replica, opened on demand.
#[derive(Debug)]
pub struct Connection {
    address: Address,
    open: Option<SendRequest<Full<Bytes>>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// The address of the connection.
    host_and_port: String,
    /// The authority as written in the base address.
    authority: String,
    prefix: String,
}

impl Address {
    /// Parses `http://host`, `http://host:port` or `http://host:port/prefix`.
    fn of(url: &str) -> Result<Self> {
        ensure!(
            !url.starts_with("https://"),
            "{url}: only plain http:// is spoken here; TLS must end before the replica"
        );
        let rest = url.strip_prefix("http://").with_context(|| format!("{url} is not an http:// address"))?;
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        ensure!(!authority.is_empty() && !authority.contains('@'), "{url} is not an address of host and port");
        // The colons of an IPv6 address are in brackets.
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let host_and_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { host_and_port, authority: authority.to_owned(), prefix: prefix.trim_end_matches('/').to_owned() })
    }
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its `Cache-Status` (RFC 9211); empty if it has none.
    pub cache_status: String,
    /// Its body.
    pub body: Bytes,
}

impl Connection {
    /// Creates a connection to `http://host:port/prefix`; the default port is 80.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { address: Address::of(url)?, open: None })
    }

    /// Sends a request and reads the whole response. A broken connection is replaced at the next request.
    pub async fn send(&mut self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer> {
        let answer = timeout(TIMEOUT, self.exchange(method, path, body)).await;
        let answer = answer.unwrap_or_else(|_| bail!("no answer within {TIMEOUT:?}"));
        if answer.is_err() {
            self.open = None;
        }
        answer.with_context(|| format!("{}{}{path}", self.address.authority, self.address.prefix))
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer> {
        let Address { authority, prefix, .. } = &self.address;
        let request = match prefix.as_str() {
            "" => Request::builder().uri(path),
            prefix => Request::builder().uri(format!("{prefix}{path}")),
        };
        let mut request = request.method(method).header(HOST, authority);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default()))?;
        let connection = self.connection().await?;
        let answer = connection.send_request(request).await?;
        let cache_status = cache_status(answer.headers()).to_owned();
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
            let stream = TcpStream::connect(&self.address.host_and_port).await?;
            stream.set_nodelay(true)?;
            let (connection, driver) = handshake(TokioIo::new(stream)).await?;
            // The task ends with the connection, which ends when this value is dropped.
            tokio::spawn(driver);
            self.open = Some(connection);
        }
        self.open.as_mut().context("the connection was not opened")
    }
}

impl Answer {
    /// Returns the source of the response.
    pub fn source(&self) -> Source {
        Source::parse(&self.cache_status)
    }

    /// Returns whether a cache held the response, or holds it now. Without `Cache-Status`, it is assumed to.
    pub fn kept(&self) -> bool {
        let status = CacheStatus::parse(&self.cache_status);
        match status.source() {
            Source::Hit | Source::Near | Source::Stale | Source::Uncached => true,
            Source::Miss => status.is_stored(),
            Source::Collapsed | Source::Bypass => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_port_is_optional_and_prefix_is_kept() {
        for (url, host_and_port, prefix) in [
            ("http://a:8004", "a:8004", ""),
            ("http://a:8004/", "a:8004", ""),
            ("http://a", "a:80", ""),
            ("http://a/shop/v1/", "a:80", "/shop/v1"),
            ("http://[::1]", "[::1]:80", ""),
            ("http://[::1]:8004/shop", "[::1]:8004", "/shop"),
        ] {
            let address = Address::of(url).unwrap();
            assert_eq!((address.host_and_port.as_str(), address.prefix.as_str()), (host_and_port, prefix), "{url}");
        }
    }

    #[test]
    fn response_is_kept_if_a_cache_held_or_stored_it() {
        for (cache_status, kept) in [
            ("product-api; hit; ttl=-4", true),
            ("product-api; fwd=miss; stored", true),
            ("product-api; fwd=miss; stored; detail=index-stale", true),
            ("product-api; fwd=miss; detail=fenced", false),
            ("edge; fwd=miss; detail=\"x; stored\"", false),
            ("product-api; fwd=bypass; detail=redis-down", false),
            ("", true),
        ] {
            let answer = Answer { status: StatusCode::OK, cache_status: cache_status.to_owned(), body: Bytes::new() };
            assert_eq!(answer.kept(), kept, "{cache_status:?}");
        }
    }

    #[test]
    fn unsupported_address_is_refused() {
        assert!(Address::of("https://a").unwrap_err().to_string().contains("only plain http"));
        assert!(Address::of("a:8004").is_err() && Address::of("http:///shop").is_err());
    }
}
