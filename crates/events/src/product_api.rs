//! The product API as its neighbours see it: facts of products over HTTP.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

use crate::log::EventLog;

/// The most products that one request may name or get.
pub const MAX_IDS: usize = 500;

/// Where the product API is. The `[product_api]` section of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductApiSettings {
    /// `http://host:port`
    pub url: String,
    /// The longest that one call may take. Default 2 s.
    #[serde(default = "two_seconds", with = "humantime_serde")]
    pub timeout: Duration,
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

/// A client of the product API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProductApi {
    base: String,
    client: Client,
    log: EventLog,
}

/// A product, as far as its neighbours need to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Product {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub price_cents: i64,
    pub stock: i32,
    pub featured: bool,
    pub category: CategoryRef,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

/// The category of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CategoryRef {
    pub id: i64,
    pub name: String,
}

/// A page of the catalogue.
#[derive(Clone, Debug, Deserialize)]
pub struct ProductPage {
    /// The products, by id.
    pub products: Vec<Product>,
    /// Pass it on to get the next page; absent at the end.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// The product API did not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
#[error("the product API is not available: {0}")]
pub struct ProductApiError(String);

impl ProductApi {
    /// A client; it connects when it is first used.
    ///
    /// # Errors
    /// When the system gives it no sockets.
    pub fn new(settings: &ProductApiSettings) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .no_proxy()
            .connect_timeout(settings.timeout.min(Duration::from_millis(500)))
            .timeout(settings.timeout)
            .build()?;
        let base = settings.url.trim_end_matches('/').to_owned();
        let log = EventLog::new(&base, client.clone());
        Ok(Self { base, client, log })
    }

    /// Sends the token of the operations routes where one is required: to the log of events.
    #[must_use]
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.log = self.log.with_token(token);
        self
    }

    /// Its log of product events.
    pub fn events(&self) -> EventLog {
        self.log.clone()
    }

    /// One product, from the database; `None` when there is none.
    ///
    /// # Errors
    /// When the product API does not answer in time or not as it should.
    pub async fn product(&self, id: i64) -> Result<Option<Product>, ProductApiError> {
        let answer = self.client.get(format!("{}/products/{id}", self.base)).send().await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.json().await?)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(ProductApiError(format!("it answered {status}"))),
        }
    }

    /// Several products in one request, from the database, by id; those that do not exist are left out.
    ///
    /// # Errors
    /// When the product API does not answer in time or not as it should.
    pub async fn products(&self, ids: &[i64]) -> Result<Vec<Product>, ProductApiError> {
        let mut products = Vec::with_capacity(ids.len());
        for some in ids.chunks(MAX_IDS) {
            let list = some.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
            products.extend(self.page(&[("ids", &list)]).await?.products);
        }
        Ok(products)
    }

    /// A page of the whole catalogue; `cursor` is the `next_cursor` of the page before.
    ///
    /// # Errors
    /// When the product API does not answer in time or not as it should.
    pub async fn catalogue(&self, cursor: Option<&str>) -> Result<ProductPage, ProductApiError> {
        let limit = MAX_IDS.to_string();
        match cursor {
            None => self.page(&[("limit", &limit)]).await,
            Some(cursor) => self.page(&[("limit", &limit), ("cursor", cursor)]).await,
        }
    }

    /// All categories, from the database.
    ///
    /// # Errors
    /// When the product API does not answer in time or not as it should.
    pub async fn categories(&self) -> Result<Vec<CategoryRef>, ProductApiError> {
        let answer = self.client.get(format!("{}/categories", self.base)).send().await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.json().await?),
            status => Err(ProductApiError(format!("it answered {status}"))),
        }
    }

    async fn page(&self, query: &[(&str, &str)]) -> Result<ProductPage, ProductApiError> {
        let answer = self.client.get(format!("{}/products", self.base)).query(query).send().await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.json().await?),
            status => Err(ProductApiError(format!("it answered {status}"))),
        }
    }
}

impl From<reqwest::Error> for ProductApiError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url().to_string())
    }
}
