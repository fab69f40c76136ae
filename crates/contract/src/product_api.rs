//! A client of the product API, for the other services: product data over HTTP.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Client, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trace_context::propagate;

/// The maximum number of products in one request or response.
pub const MAX_IDS: usize = 500;

/// The address of the product API. The `[product_api]` section of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductApiSettings {
    /// `http://host:port`
    pub url: String,
    /// The timeout of one call. Default 2 s.
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
}

/// A product, with the fields that the other services need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The price in cents.
    pub price_cents: i64,
    /// The number of pieces in stock.
    pub stock: i32,
    /// Whether the product is in the list of featured products.
    pub featured: bool,
    /// The category.
    pub category: CategoryRef,
    /// The version of the row; each change increases it.
    pub version: i64,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// The category of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryRef {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
}

/// A page of the catalogue.
#[derive(Clone, Debug, Deserialize)]
pub struct ProductPage {
    /// The products, ordered by id.
    pub products: Vec<Product>,
    /// The cursor of the next page; absent on the last page.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// The product API did not respond, or its response was invalid.
#[derive(Debug, thiserror::Error)]
#[error("the product API is not available: {0}")]
pub struct ProductApiError(String);

impl ProductApiSettings {
    /// Creates an HTTP client for this address. It connects on its first request.
    ///
    /// # Errors
    /// Returns an error if the system provides no sockets.
    pub fn http_client(&self) -> Result<Client, reqwest::Error> {
        Client::builder()
            .no_proxy()
            .connect_timeout(self.timeout.min(Duration::from_millis(500)))
            .timeout(self.timeout)
            .build()
    }
}

impl ProductApi {
    /// Creates a client of the product API at `base`, such as `http://127.0.0.1:8004`.
    pub fn new(base: &str, client: Client) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), client }
    }

    /// Returns one product, read from the database; `None` if it does not exist.
    ///
    /// # Errors
    /// Returns an error if the product API does not respond in time, or if its response is invalid.
    pub async fn product(&self, id: i64) -> Result<Option<Product>, ProductApiError> {
        if id <= 0 {
            return Ok(None);
        }
        self.get(&format!("products/{id}"), &[]).await
    }

    /// Returns several products with one request, read from the database and ordered by id; missing products are
    /// omitted. An id below 1, which an event written by hand may have, names no product.
    ///
    /// # Errors
    /// Returns an error if the product API does not respond in time, or if its response is invalid.
    pub async fn products(&self, ids: &[i64]) -> Result<Vec<Product>, ProductApiError> {
        let mut products = Vec::with_capacity(ids.len());
        let ids: Vec<i64> = ids.iter().copied().filter(|id| *id > 0).collect();
        for some in ids.chunks(MAX_IDS) {
            let list = some.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
            products.extend(self.page(&[("ids", &list)]).await?.products);
        }
        Ok(products)
    }

    /// Returns a page of the whole catalogue; `cursor` is the `next_cursor` of the previous page.
    ///
    /// # Errors
    /// Returns an error if the product API does not respond in time, or if its response is invalid.
    pub async fn catalogue(&self, cursor: Option<&str>) -> Result<ProductPage, ProductApiError> {
        let limit = MAX_IDS.to_string();
        match cursor {
            None => self.page(&[("limit", &limit)]).await,
            Some(cursor) => self.page(&[("limit", &limit), ("cursor", cursor)]).await,
        }
    }

    /// Returns all categories, read from the database.
    ///
    /// # Errors
    /// Returns an error if the product API does not respond in time, or if its response is invalid.
    pub async fn categories(&self) -> Result<Vec<CategoryRef>, ProductApiError> {
        existing(self.get("categories", &[]).await?)
    }

    async fn page(&self, query: &[(&str, &str)]) -> Result<ProductPage, ProductApiError> {
        existing(self.get("products", query).await?)
    }

    /// Returns the body of the response; `None` if its status is 404.
    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<T>, ProductApiError> {
        let request = self.client.get(format!("{}/{path}", self.base)).query(query);
        let answer = propagate(request).send().await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.json().await?)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(ProductApiError(format!("it answered {status}"))),
        }
    }
}

/// Requires a body: the catalogue always exists.
fn existing<T>(found: Option<T>) -> Result<T, ProductApiError> {
    found.ok_or_else(|| ProductApiError(format!("it answered {}", StatusCode::NOT_FOUND)))
}

impl From<reqwest::Error> for ProductApiError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url().to_string())
    }
}
