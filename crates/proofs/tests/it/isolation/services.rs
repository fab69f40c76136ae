//! The services themselves: each works as its Redis user, and runs no command that is refused.

use std::time::Duration;

use anyhow::Result;
use contract::STRATEGY_NAMES;
use reqwest::Client;
use serde_json::{Value, json};
use testkit::private_system::{PrivateSystem, Service};

/// A timeout that is long enough for a busy machine.
const SOON: Duration = Duration::from_secs(30);

async fn read(http: &Client, url: &str) -> Result<Value> {
    Ok(http.get(url).send().await?.error_for_status()?.json().await?)
}

#[tokio::test]
async fn redis_refuses_no_command_of_a_running_service() -> Result<()> {
    let system = PrivateSystem::start(60, &[("LANES__SWR__SOFT_TTL", "50ms")]).await?;
    let http = Client::builder().no_proxy().build()?;
    let [shop, cart, search, recommendation] = Service::ALL.map(|service| system.url(service));
    let made: Value = http.post(format!("{cart}/carts")).json(&json!({})).send().await?.json().await?;
    let line = format!("{cart}/carts/{}/items/1", made["id"].as_str().unwrap_or_default());
    let view = line.replace("/items/1", "");
    for stock in 1..=5 {
        for strategy in STRATEGY_NAMES {
            let product = format!("{shop}/products/{strategy}/1");
            read(&http, &product).await?;
            http.put(&product).json(&json!({ "stock": stock })).send().await?.error_for_status()?;
            read(&http, &product).await?;
        }
        http.put(&line).json(&json!({ "quantity": stock })).send().await?.error_for_status()?;
        for url in [&view, &format!("{search}/search?q=a"), &format!("{recommendation}/recommendations/1")] {
            read(&http, url).await?;
            read(&http, url).await?;
        }
        for service in Service::ALL {
            read(&http, &format!("{}/cache/entries?limit=10", system.url(service))).await?;
        }
    }
    system.until_applied(&http, SOON).await?;
    let users = system.redis.cli(&["CLIENT", "LIST"]).await?;
    for service in Service::ALL {
        assert!(users.contains(&format!(" user={} ", service.name())), "{users}");
    }
    assert_eq!(system.redis.cli(&["ACL", "LOG"]).await?, "");
    Ok(())
}
