//! The other services: for each, a response that shows a product, and the entry of that response.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use client::times::millis;
use client::{CachedResponse, Operations, cache_status};
use futures_util::future::try_join_all;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use crate::product_api::Product;

/// An entry that still exists after this time was not invalidated.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses of the other services.
#[derive(Debug, Clone, Args)]
pub struct Addresses {
    /// Where the cart answers
    #[arg(long, env = "CART_URL", default_value = "http://127.0.0.1:8005")]
    pub cart: String,
    /// Where the search answers
    #[arg(long, env = "SEARCH_URL", default_value = "http://127.0.0.1:8006")]
    pub search: String,
    /// Where the recommendation answers
    #[arg(long, env = "RECOMMENDATION_URL", default_value = "http://127.0.0.1:8007")]
    pub recommendation: String,
    /// How their operations routes are reached
    #[command(flatten)]
    pub operations: Operations,
}

#[derive(Debug)]
pub(crate) struct OtherServices {
    http: Client,
    /// The cached responses, in the order of [`CachedResponse::of_product`].
    pub responses: [CachedResponse; 4],
}

impl OtherServices {
    /// Puts the product into a new cart, and finds the responses that show it.
    pub(crate) async fn of(product: &Product, shop: &str, at: &Addresses) -> Result<Self> {
        let http =
            Client::builder().no_proxy().timeout(2 * TIMEOUT).default_headers(at.operations.headers()?).build()?;
        let bases: [&str; 4] = [shop, &at.cart, &at.search, &at.recommendation];
        let responses = CachedResponse::of_product(&http, bases, "events", product.id, 20).await?;
        Ok(Self { http, responses })
    }

    /// Returns the cart, and the `Cache-Status` of the response.
    pub(crate) async fn cart(&self) -> Result<(Value, String)> {
        let answer = self.http.get(&self.responses[1].url).send().await?.error_for_status()?;
        let status = cache_status(answer.headers()).to_owned();
        Ok((answer.json().await?, status))
    }

    /// Reads all responses until each service has cached its own.
    pub(crate) async fn warm(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            for response in &self.responses {
                self.http.get(&response.url).send().await?.error_for_status()?.bytes().await?;
            }
            let there = try_join_all(self.responses.iter().map(|response| self.is_there(response))).await?;
            if there.iter().all(|there| *there) {
                return Ok(());
            }
            ensure!(began.elapsed() < TIMEOUT, "the responses are not cached: {:?}", self.responses);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the milliseconds from `began` until each entry was gone, by service.
    pub(crate) async fn gone(&self, began: Instant) -> Result<Vec<(&'static str, f64)>> {
        try_join_all(self.responses.iter().map(async |response| {
            while self.is_there(response).await? {
                if began.elapsed() > TIMEOUT {
                    bail!(
                        "{} is still there {:?} after the write; is {} running?",
                        response.key,
                        began.elapsed(),
                        response.service
                    );
                }
            }
            Ok((response.service, millis(began.elapsed())))
        }))
        .await
    }

    async fn is_there(&self, response: &CachedResponse) -> Result<bool> {
        let answer = self.http.get(format!("{}/cache/stats/{}", response.base, response.key)).send().await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::OK => Ok(answer.json::<Value>().await?["state"] != "leased"),
            status => bail!("{} answers {status} for {}", response.service, response.key),
        }
    }
}
