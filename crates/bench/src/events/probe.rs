//! The products whose entries are observed.

use std::time::Instant;

use anyhow::Result;
use client::CachedResponse;
use fred::clients::Client as Redis;
use fred::interfaces::KeysInterface;
use reqwest::Client;
use testkit::private_system::{PrivateSystem, Service};

/// A product with an entry in every service.
pub(super) struct Probe {
    pub(super) id: i64,
    responses: [CachedResponse; 4],
}

impl Probe {
    pub(super) async fn prepare(system: &PrivateSystem, http: &Client, id: i64) -> Result<Self> {
        let bases = Service::ALL.map(|service| system.url(service));
        let bases = bases.each_ref().map(String::as_str);
        Ok(Self { id, responses: CachedResponse::of_product(http, bases, "production", id, 5).await? })
    }

    /// Returns the keys of its entries, in the order of [`Service::ALL`].
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.responses.iter().map(|response| response.key.as_str())
    }

    /// Fills all four entries. Returns the time since when they have existed, or `None` if an event that was still
    /// being delivered has removed one again.
    pub(super) async fn warm(&self, http: &Client, redis: &Redis) -> Result<Option<Instant>> {
        for response in &self.responses {
            http.get(&response.url).send().await?.error_for_status()?;
        }
        // Removals count from here on: an entry that is removed between here and the write must not be waited for.
        let began = Instant::now();
        for key in self.keys() {
            // An entry begins with `V`, a lease does not.
            if redis.getrange::<Option<String>, _>(key, 0, 0).await?.as_deref() != Some("V") {
                return Ok(None);
            }
        }
        Ok(Some(began))
    }
}
