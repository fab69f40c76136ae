//! One subject, ready to be read and written: the requests, and what their responses show.

use std::collections::HashMap;

use bytes::Bytes;
use client::CacheStatus;
use hyper::Method;
use serde_json::Value;

use super::map::{Lists, Promise, Reading, Shown, Writing, fill};
use super::record::Seen;
use super::workload::Choice;

/// One subject, ready to be read and written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub name: String,
    /// The promise about its staleness.
    pub promise: Promise,
    /// The products, in the order of the workload's indices.
    pub products: Vec<Product>,
    /// The key of its first product in the records; the keys of its other products follow.
    pub first_key: u32,
    /// The choice of the next product.
    pub choice: Choice,
    /// The replicas that are read, and those that are written.
    pub nodes: (Vec<String>, Vec<String>),
    pub read: Reading,
    /// What an item of its responses shows.
    pub shown: Shown,
    /// The keys of its products, by their ids in the service.
    pub keys: HashMap<u64, u32>,
    /// How its products are written, with its own body.
    pub writing: Writing,
    pub method: Method,
}

#[derive(Debug)]
pub(super) struct Product {
    pub id: u64,
    /// A word that no other product has.
    pub word: String,
    pub read_path: String,
    pub write_path: String,
}

impl Prepared {
    pub(super) fn read_path(&self, product: usize) -> &str {
        &self.products[product].read_path
    }

    /// Returns the request that writes a product: method, path and body.
    pub(super) fn write(&self, product: usize, number: u32) -> (Method, &str, Bytes) {
        let product = &self.products[product];
        let (id, writing) = (product.id.to_string(), &self.writing);
        let body = fill(&writing.body, &[("id", &id), ("word", &product.word)], number);
        (self.method.clone(), &product.write_path, body.to_string().into())
    }

    /// Returns the version that a write has made, and whether its invalidation is acknowledged.
    pub(super) fn written(&self, body: &[u8], cache_status: &str) -> Option<(u32, bool)> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let version = u32::try_from(answer.pointer(&self.writing.version)?.as_u64()?).ok()?;
        let status = CacheStatus::parse(cache_status);
        let deferred = self.writing.unacknowledged.as_ref().is_some_and(|pending| status.has(pending));
        Some((version, !deferred))
    }

    /// Returns the products of this run that the response to a read of `product` shows, and whether the response is
    /// flagged as possibly outdated.
    pub(super) fn seen(&self, product: usize, body: &[u8]) -> (Vec<(u32, Seen)>, bool) {
        let key = self.first_key + product as u32;
        let Ok(answer) = serde_json::from_slice::<Value>(body) else { return (vec![(key, Seen::Torn)], false) };
        let flagged =
            self.read.flagged.as_ref().and_then(|pointer| answer.pointer(pointer)) == Some(&Value::Bool(true));
        (self.shown(product, &answer), flagged)
    }

    fn shown(&self, product: usize, answer: &Value) -> Vec<(u32, Seen)> {
        let key = self.first_key + product as u32;
        let Some(items) = &self.read.items else { return vec![(key, self.one(key, answer))] };
        let Some(items) = answer.pointer(items).and_then(Value::as_array) else { return vec![(key, Seen::Torn)] };
        let known = |item: &Value| self.keys.get(&item.pointer(&self.shown.id)?.as_u64()?).copied();
        let mut seen: Vec<(u32, Seen)> =
            items.iter().filter_map(|item| known(item).map(|key| (key, self.one(key, item)))).collect();
        if self.read.lists == Lists::Itself && seen.iter().all(|(other, _)| *other != key) {
            seen.push((key, Seen::Absent));
        }
        seen
    }

    fn one(&self, key: u32, item: &Value) -> Seen {
        let (shown, product) = (&self.shown, &self.products[(key - self.first_key) as usize]);
        let number = |pointer: &str| u32::try_from(item.pointer(pointer)?.as_u64()?).ok();
        let Some(write) = number(&shown.number) else { return Seen::Torn };
        let id = product.id.to_string();
        let is_of = |(pointer, template): (&String, &String)| {
            let wanted = fill(&Value::String(template.clone()), &[("id", &id), ("word", &product.word)], write);
            item.pointer(pointer) == Some(&wanted)
        };
        let is_it = item.pointer(&shown.id).and_then(Value::as_u64) == Some(product.id);
        match is_it && shown.others.iter().all(is_of) {
            true => Seen::Write { number: write, version: shown.version.as_deref().and_then(number) },
            false => Seen::Torn,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An id that does not fit into 32 bits.
    const FIRST: u64 = 5_000_000_000;

    fn prepared(items: Option<&str>, lists: Lists) -> Prepared {
        let product = |id: u64| Product {
            id,
            word: format!("w{id}"),
            read_path: format!("/products/{id}"),
            write_path: format!("/products/{id}"),
        };
        Prepared {
            name: "shop".to_owned(),
            promise: Promise::Never,
            products: [FIRST, FIRST + 1].map(product).into(),
            first_key: 7,
            choice: Choice::of(Choice::FEWEST),
            nodes: (Vec::new(), Vec::new()),
            read: Reading {
                service: String::new(),
                path: String::new(),
                items: items.map(str::to_owned),
                lists,
                flagged: Some("/stale".to_owned()),
            },
            shown: Shown {
                id: "/id".to_owned(),
                version: Some("/version".to_owned()),
                number: "/price".to_owned(),
                others: [("/name".to_owned(), "{word} {n}".to_owned())].into(),
            },
            keys: [(FIRST, 7), (FIRST + 1, 8)].into(),
            writing: Writing {
                method: "PUT".to_owned(),
                body: json!({ "price": "{n}" }),
                version: "/version".to_owned(),
                unacknowledged: Some("detail=deferred".to_owned()),
            },
            method: Method::PUT,
        }
    }

    fn item(id: u64, version: u32, number: u32, name: u32) -> Value {
        json!({ "id": id, "version": version, "price": number, "name": format!("w{id} {name}") })
    }

    fn seen(prepared: &Prepared, answer: &Value) -> Vec<(u32, Seen)> {
        prepared.seen(0, answer.to_string().as_bytes()).0
    }

    const WHOLE: Seen = Seen::Write { number: 9, version: Some(2) };

    #[test]
    fn response_shows_one_write_or_is_torn() {
        let product = prepared(None, Lists::Itself);
        assert_eq!(seen(&product, &item(FIRST, 2, 9, 9)), [(7, WHOLE)]);
        assert_eq!(seen(&product, &item(FIRST, 2, 9, 8)), [(7, Seen::Torn)], "the name is another write's");
        assert_eq!(seen(&product, &json!({})), [(7, Seen::Torn)]);
        assert_eq!(product.seen(0, b"oops"), (vec![(7, Seen::Torn)], false));
        let low = FIRST & u64::from(u32::MAX);
        assert_eq!(seen(&product, &item(low, 2, 9, 9)), [(7, Seen::Torn)], "half of an id is another id");
    }

    #[test]
    fn requested_product_missing_from_its_page_is_absent() {
        let page = prepared(Some("/items"), Lists::Itself);
        let both = json!({ "items": [item(FIRST, 2, 9, 9), item(FIRST + 1, 2, 9, 9), item(3, 1, 1, 1)] });
        assert_eq!(seen(&page, &both), [(7, WHOLE), (8, WHOLE)]);
        assert_eq!(seen(&page, &json!({ "items": [item(FIRST + 1, 2, 9, 9)] })), [(8, WHOLE), (7, Seen::Absent)]);
        assert_eq!(seen(&page, &json!({ "items": [] })), [(7, Seen::Absent)]);
    }

    #[test]
    fn response_is_flagged_by_its_own_field() {
        let page = prepared(Some("/items"), Lists::Itself);
        let flagged = |stale: Value| page.seen(0, json!({ "items": [], "stale": stale }).to_string().as_bytes()).1;
        assert!(flagged(json!(true)));
        for other in [json!(false), json!(null), json!("true")] {
            assert!(!flagged(other.clone()), "{other}");
        }
        assert!(!page.seen(0, br#"{ "items": [] }"#).1);
    }

    #[test]
    fn list_of_others_may_omit_the_requested_product() {
        let others = prepared(Some("/items"), Lists::Others);
        assert_eq!(seen(&others, &json!({ "items": [item(FIRST + 1, 2, 9, 9)] })), [(8, WHOLE)]);
        assert_eq!(seen(&others, &json!({ "items": [] })), []);
    }

    #[test]
    fn list_missing_at_its_mapped_path_is_torn() {
        for lists in [Lists::Itself, Lists::Others] {
            let page = prepared(Some("/items"), lists);
            for answer in [json!({ "lines": [] }), json!({ "items": {} }), json!([])] {
                assert_eq!(seen(&page, &answer), [(7, Seen::Torn)], "{answer}");
            }
        }
    }

    #[test]
    fn write_is_acknowledged_unless_the_nearest_cache_says_deferred() {
        let product = prepared(None, Lists::Itself);
        for (cache_status, is_acknowledged) in [
            ("product-api; fwd=method; detail=invalidated", true),
            ("product-api; fwd=method; detail=deferred", false),
            ("product-api;detail=deferred;fwd=method", false),
            ("product-api; fwd=method; detail=deferred, edge; fwd=method", true),
            ("product-api; fwd=method; detail=deferred-not", true),
            ("product-api; fwd=method; note=\"detail=deferred\"", true),
            ("", true),
        ] {
            assert_eq!(
                product.written(br#"{"version":3}"#, cache_status),
                Some((3, is_acknowledged)),
                "{cache_status}"
            );
        }
    }
}
