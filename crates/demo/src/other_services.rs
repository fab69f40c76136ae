//! The other services: for each, a response that shows a product, and the entry of that response.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use client::Operations;
use client::times::millis;
use contract::cart_reference;
use futures_util::future::try_join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::product_api::Product;

/// An entry that still exists after this time was not invalidated.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses of the other services.
#[derive(Debug, Clone, Args)]
pub(crate) struct Addresses {
    /// Where the cart answers
    #[arg(long, env = "CART_URL", default_value = "http://127.0.0.1:8005")]
    cart: String,
    /// Where the search answers
    #[arg(long, env = "SEARCH_URL", default_value = "http://127.0.0.1:8006")]
    search: String,
    /// Where the recommendation answers
    #[arg(long, env = "RECOMMENDATION_URL", default_value = "http://127.0.0.1:8007")]
    recommendation: String,
    #[command(flatten)]
    pub operations: Operations,
}

/// A cached response that shows the product.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The service.
    pub name: &'static str,
    /// The entry's key in Redis.
    pub key: String,
    url: String,
    base: String,
}

/// The product in every service.
#[derive(Debug)]
pub(crate) struct OtherServices {
    http: Client,
    /// The cached responses; the product API's own is the first.
    pub places: Vec<Place>,
}

impl OtherServices {
    /// Puts the product into a new cart, and finds the responses that show it.
    pub(crate) async fn of(product: &Product, shop: &str, at: &Addresses) -> Result<Self> {
        let http =
            Client::builder().no_proxy().timeout(2 * TIMEOUT).default_headers(at.operations.headers()?).build()?;
        let id = product.id;
        let cart: Value = ask(http.post(format!("{}/carts", at.cart)).json(&json!({}))).await?;
        let cart = cart["id"].as_str().context("a cart has an id")?.to_owned();
        ask(http.put(format!("{}/carts/{cart}/items/{id}", at.cart)).json(&json!({ "quantity": 1 }))).await?;
        let mut search = reqwest::Url::parse(&format!("{}/search", at.search))?;
        search.query_pairs_mut().append_pair("q", &product.name).append_pair("limit", "20");
        let place = |name, key: String, url: String, base: &str| Place { name, key, url, base: base.to_owned() };
        let mut others = Self {
            http,
            places: vec![
                place("product-api", format!("product:events:{id}"), format!("{shop}/products/events/{id}"), shop),
                place(
                    "cart",
                    format!("cart:view:{}", cart_reference(cart.parse()?)),
                    format!("{}/carts/{cart}", at.cart),
                    &at.cart,
                ),
                place("search", String::new(), search.to_string(), &at.search),
                place(
                    "recommendation",
                    format!("recommendation:list:{id}"),
                    format!("{}/recommendations/{id}", at.recommendation),
                    &at.recommendation,
                ),
            ],
        };
        others.places[2].key = others.tagged(2, &format!("product:{id}")).await?;
        Ok(others)
    }

    /// Returns the cart, and the `Cache-Status` of the response.
    pub(crate) async fn cart(&self) -> Result<(Value, String)> {
        let answer = self.http.get(&self.places[1].url).send().await?.error_for_status()?;
        let status = answer.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let status = status.to_owned();
        Ok((answer.json().await?, status))
    }

    /// Reads all responses until each service has cached its own.
    pub(crate) async fn warm(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            for place in &self.places {
                ask(self.http.get(&place.url)).await?;
            }
            let there = try_join_all(self.places.iter().map(|place| self.is_there(place))).await?;
            if there.iter().all(|there| *there) {
                return Ok(());
            }
            ensure!(began.elapsed() < TIMEOUT, "the responses are not cached: {:?}", self.places);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the milliseconds from `began` until each entry was gone, by service.
    pub(crate) async fn gone(&self, began: Instant) -> Result<Vec<(&'static str, f64)>> {
        try_join_all(self.places.iter().map(async |place| {
            while self.is_there(place).await? {
                if began.elapsed() > TIMEOUT {
                    bail!(
                        "{} is still there {:?} after the write; is {} running?",
                        place.key,
                        began.elapsed(),
                        place.name
                    );
                }
            }
            Ok((place.name, millis(began.elapsed())))
        }))
        .await
    }

    async fn is_there(&self, place: &Place) -> Result<bool> {
        let answer = self.http.get(format!("{}/cache/stats/{}", place.base, place.key)).send().await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::OK => Ok(answer.json::<Value>().await?["state"] != "leased"),
            status => bail!("{} answers {status} for {}", place.name, place.key),
        }
    }

    /// Returns the key of a service's entry that carries `tag`. An event that is still being delivered may prevent the
    /// fill.
    async fn tagged(&self, index: usize, tag: &str) -> Result<String> {
        let (place, began) = (&self.places[index], Instant::now());
        loop {
            ask(self.http.get(&place.url)).await?;
            if let Some(key) = self.look_for(place, tag).await? {
                return Ok(key);
            }
            ensure!(began.elapsed() < TIMEOUT, "no entry of {} carries {tag}", place.name);
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn look_for(&self, place: &Place, tag: &str) -> Result<Option<String>> {
        let mut cursor = String::new();
        loop {
            let page: Value = ask(self.http.get(format!("{}/cache/entries?limit=1000{cursor}", place.base))).await?;
            let entries = page["entries"].as_array().context("a page has entries")?;
            let carries =
                |entry: &&Value| entry["tags"].as_array().is_some_and(|tags| tags.iter().any(|its| its == tag));
            if let Some(key) = entries.iter().find(carries).and_then(|entry| entry["key"].as_str()) {
                return Ok(Some(key.to_owned()));
            }
            let Some(next) = page["next_cursor"].as_str() else { return Ok(None) };
            cursor = format!("&cursor={next}");
        }
    }
}

async fn ask(request: reqwest::RequestBuilder) -> Result<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}
