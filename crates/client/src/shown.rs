//! A product in every service: a cached response that shows it, and the entry of that response.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use contract::cart_reference;
use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::Entry;

/// Maximum time until the search has cached a page.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A cached response that shows a product.
#[derive(Clone, Debug)]
pub struct CachedResponse {
    /// The service.
    pub service: &'static str,
    /// The base URL of the service.
    pub base: String,
    /// The entry's key in Redis.
    pub key: String,
    /// The address of the response.
    pub url: String,
}

impl CachedResponse {
    /// Puts a product into a new cart, and returns the responses that show it: of the product API by `strategy`, of the
    /// cart, of the search and of the recommendation, whose base URLs are `bases`. The page of the search has `limit`
    /// products.
    ///
    /// # Errors
    /// Returns an error if a service does not respond with success, or if the search does not cache its page.
    pub async fn of_product(http: &Client, bases: [&str; 4], strategy: &str, id: i64, limit: u32) -> Result<[Self; 4]> {
        let [shop, cart_service, search, recommendation] = bases;
        let cart = ask(http.post(format!("{cart_service}/carts")).json(&json!({}))).await?;
        let cart = cart["id"].as_str().context("the cart has no id")?;
        let item = format!("{cart_service}/carts/{cart}/items/{id}");
        ask(http.put(item).json(&json!({ "quantity": 1 }))).await?;
        let product = ask(http.get(format!("{shop}/products/{id}"))).await?;
        // A query for the whole name shows the product on the first page.
        let name = product["name"].as_str().context("the product has no name")?;
        let mut page = Url::parse(&format!("{search}/search"))?;
        page.query_pairs_mut().append_pair("q", name).append_pair("limit", &limit.to_string());
        let key = page_key(http, search, page.as_str(), &format!("product:{id}")).await?;
        let response = |service, base: &str, key, url| Self { service, base: base.to_owned(), key, url };
        let cart_key = format!("cart:view:{}", cart_reference(cart.parse()?));
        let (list, list_key) = (format!("{recommendation}/recommendations/{id}"), format!("recommendation:list:{id}"));
        Ok([
            response(
                "product-api",
                shop,
                format!("product:{strategy}:{id}"),
                format!("{shop}/products/{strategy}/{id}"),
            ),
            response("cart", cart_service, cart_key, format!("{cart_service}/carts/{cart}")),
            response("search", search, key, page.into()),
            response("recommendation", recommendation, list_key, list),
        ])
    }
}

/// Returns the key of a search page, which is found by its tags. An event that is still being delivered may prevent the
/// fill.
async fn page_key(http: &Client, search: &str, page: &str, tag: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        ask(http.get(page)).await?;
        if let Some(key) = Entry::key_with_tag(http, search, tag).await? {
            return Ok(key);
        }
        ensure!(began.elapsed() < TIMEOUT, "no page of the search carries {tag}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(request: RequestBuilder) -> Result<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}
