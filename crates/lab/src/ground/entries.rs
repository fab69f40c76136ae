//! Every entry of every service, and the address that reads it.

use std::collections::HashMap;

use anyhow::{Context, Result};
use reqwest::Client;
use serde::Deserialize;

use super::Ground;
use crate::world::Service;

/// One entry, as `/cache/entries` tells of it.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// Its whole name.
    pub(super) key: String,
    /// Fresh, stale, absent, leased, unreadable.
    pub(super) state: String,
    /// That of the row, when it holds one.
    pub(super) version: Option<i64>,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

/// All entries of a service; one may come twice.
pub(super) async fn of(ground: &impl Ground, http: &Client, service: Service) -> Result<Vec<Entry>> {
    let base = ground.url(service).await?;
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = http.get(format!("{base}/cache/entries?limit=1000{cursor}")).send().await?.error_for_status()?;
        let page: Page = page.json().await.with_context(|| format!("the entries of {}", service.name()))?;
        entries.extend(page.entries);
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(entries),
        }
    }
}

/// The path that reads an entry, at the service that it belongs to; `None` for what no path reads. A key names a cart by its
/// reference, a path by its id: `carts` has the ids by the references.
pub(super) fn path(key: &str, carts: &HashMap<String, String>) -> Option<String> {
    let (keyspace, rest) = key.split_once(':')?;
    let (lane, id) = rest.split_once(':')?;
    Some(match (keyspace, lane) {
        ("product", "featured") => "/products/featured".to_owned(),
        ("product", lane) => format!("/products/{lane}/{id}"),
        ("cart", "view") => format!("/carts/{}", carts.get(id)?),
        ("search", "page") => search(id)?,
        ("recommendation", "list") => format!("/recommendations/{id}"),
        ("recommendation", "basket") => format!("/recommendations?cart={}", carts.get(id)?),
        _ => return None,
    })
}

/// A search from its normal form: `q=oak+lamp&category=3&price=-5000&limit=20`.
fn search(page: &str) -> Option<String> {
    let mut path = String::from("/search?");
    for field in page.split('&') {
        match field.split_once('=')? {
            // Something was asked that has no letter or digit in it.
            ("q", "-") => path.push_str("q=%21"),
            ("price", range) => {
                let (least, most) = range.split_once('-')?;
                for (name, price) in [("min_price", least), ("max_price", most)] {
                    if !price.is_empty() {
                        path.push_str(&format!("&{name}={price}"));
                    }
                }
            }
            ("category", "") => {}
            ("q", words) => path.push_str(&format!("q={words}")),
            (name, value) => path.push_str(&format!("&{name}={value}")),
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_has_the_address_that_reads_it() {
        let carts = HashMap::from([("5e1f".to_owned(), "0f3a".to_owned())]);
        for (key, expected) in [
            ("product:ttl:1", "/products/ttl/1"),
            ("product:by-category:3", "/products/by-category/3"),
            ("product:featured:list", "/products/featured"),
            ("cart:view:5e1f", "/carts/0f3a"),
            ("search:page:q=&category=&price=-&limit=20", "/search?q=&limit=20"),
            ("search:page:q=-&category=&price=-&limit=20", "/search?q=%21&limit=20"),
            (
                "search:page:q=oak+lamp&category=3&price=5-5000&limit=7&cursor=s1",
                "/search?q=oak+lamp&category=3&min_price=5&max_price=5000&limit=7&cursor=s1",
            ),
            ("recommendation:list:8", "/recommendations/8"),
            ("recommendation:basket:5e1f", "/recommendations?cart=0f3a"),
        ] {
            assert_eq!(path(key, &carts).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(path("cart:product:1", &carts), None);
        assert_eq!(path("cart:view:0f3a", &carts), None, "no key has an id");
    }
}
