//! The services of the stack, as the console reaches them.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder};
use serde::Serialize;

use crate::settings::Settings;

/// How long connecting may take: all services run on this machine.
const CONNECT: Duration = Duration::from_millis(500);
/// How long a whole exchange may take, except for a stream.
pub(crate) const EXCHANGE: Duration = Duration::from_secs(10);

/// A process of a service.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Upstream {
    /// `cart`, or `cart-2` for the second process.
    pub(crate) name: &'static str,
    /// The name of the service in sentences.
    pub(crate) title: &'static str,
    /// 1, or 2 for the second process.
    pub(crate) replica: u8,
    /// The base URL.
    pub(crate) url: String,
}

/// The services, and the client that reaches them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    all: Arc<[Upstream]>,
    client: Client,
    /// The client for streams: it sets no timeout.
    streams: Client,
    authorization: Option<HeaderValue>,
}

impl Upstreams {
    /// Creates the clients; they connect on their first request. `token` opens the operations routes of the services.
    ///
    /// # Errors
    /// Returns an error if the system provides no sockets, or the token is no header value.
    pub(crate) fn new(settings: &Settings, token: Option<&str>) -> anyhow::Result<Self> {
        let all = settings.services().into_iter().map(|(name, url)| Upstream {
            name,
            title: match name.trim_end_matches("-2") {
                "product-api" => "product API",
                service => service,
            },
            replica: if name.ends_with("-2") { 2 } else { 1 },
            url: url.to_owned(),
        });
        let client =
            || Client::builder().no_proxy().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none());
        let authorization = token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))).transpose()?;
        Ok(Self {
            all: all.collect(),
            client: client().timeout(EXCHANGE).build()?,
            streams: client().build()?,
            authorization,
        })
    }

    /// Returns all processes.
    pub(crate) fn all(&self) -> &[Upstream] {
        &self.all
    }

    /// Returns the process with this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Upstream> {
        self.all.iter().find(|upstream| upstream.name == name)
    }

    /// Returns the processes of the product API.
    pub(crate) fn product_apis(&self) -> impl Iterator<Item = &Upstream> {
        self.all.iter().filter(|upstream| upstream.name.trim_end_matches("-2") == "product-api")
    }

    /// Returns the first process of the product API, which always exists.
    pub(crate) fn product_api(&self) -> &Upstream {
        &self.all[0]
    }

    /// Returns the client for requests that end.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a GET request for a path of a process.
    pub(crate) fn get(&self, upstream: &Upstream, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", upstream.url)).headers(self.operator(path))
    }

    /// Begins a request for a stream of a process.
    pub(crate) fn stream(&self, upstream: &Upstream, path: &str) -> RequestBuilder {
        self.streams.get(format!("{}{path}", upstream.url)).headers(self.operator(path))
    }

    /// Returns the headers that a request for `path` needs: the operators' token on their routes, and none on others.
    pub(crate) fn operator(&self, path: &str) -> HeaderMap {
        let needs_token = ["/cache/", "/events", "/metrics", "/faults"].iter().any(|route| path.starts_with(route));
        let token = self.authorization.iter().filter(|_| needs_token);
        token.map(|token| (AUTHORIZATION, token.clone())).collect()
    }
}
