//! A page and a product share a tag in every way in which the product can match the query: the creation of the product
//! invalidates one of the page's tags. Otherwise the page would stay in the cache without the product.

use std::collections::BTreeSet;

use cache::Tag;
use contract::product_api::Product;
use contract::{ProductChange, ProductChangeKind};
use serde_json::json;

use super::changed_tags::{Change, ChangedTags};
use crate::index::{Categories, Commit, Row, Store};
use crate::query::page;
use crate::query::search::{Filter, QueryTerms, Search};

const TEXTS: [&str; 22] = [
    "Red Running Shoes",
    "Power Banks singing",
    "powerbank",
    "Résumé folder",
    "Re\u{301}sume\u{301} paper, dying",
    "Effective C++ and C#",
    "ASP.NET Core",
    "AT&T, R & D",
    "Wi-Fi, USB C, Node.js",
    "wifi usbc nodejs",
    "Women's T-Shirt AX-47-11",
    "womens tshirt AX4711",
    "智能手机保护壳",
    "快速充电器 iPhone保护壳5代",
    "ｶﾞﾗｽのコップ",
    "ซื้อกาแฟเย็น",
    "हिन्दी किताब",
    "한국어 사전, 스마트폰케이스 LG전자",
    "Größe Łódź ﬁne №5 x² 1½ ۱۵",
    "Ёлка мой",
    "cab·le wifi+usb e.g. 3.5mm, USB 3,0",
    "AX471100000000000000000000000000000000000000000000000000000000000000009Z7",
];

fn product(id: usize, name: &str) -> Product {
    serde_json::from_value(json!({
        "id": id, "name": name, "description": "", "price_cents": 5, "stock": 1, "featured": false,
        "category": { "id": 2, "name": "灯 Lamps" }, "version": 1, "updated_at": "2026-11-22T10:00:00Z"
    }))
    .expect("a product")
}

/// Returns the tags that the creation of the product invalidates.
fn raised(product: &Product, names: &Categories) -> BTreeSet<Tag> {
    let created = ProductChange {
        kind: ProductChangeKind::ProductCreated,
        product_id: Some(product.id),
        version: 1,
        category_id: 2,
        previous_category_id: None,
        changed: Vec::new(),
    };
    let row = Row::from(product);
    let mut tags = ChangedTags::default();
    tags.product(&Change { before: None, after: Some(&row), events: &[created] }, (names, names));
    tags.into_tags().into_iter().collect()
}

/// Returns every part of every text, alone and with words that no text has.
fn queries() -> BTreeSet<String> {
    let mut queries = BTreeSet::from(["lamp", "灯", "lamps red", ""].map(str::to_owned));
    // Other spellings of words in the texts.
    queries.extend(
        [
            "wi-fi", "wi fi", "usb-c", "node.js", "t shirt", "t-shirt", "ax-47-11", "t-shi", "powerbanks",
            "power bank", "red powerbank",
        ]
        .map(str::to_owned),
    );
    for text in TEXTS {
        let chars: Vec<char> = text.chars().collect();
        let parts =
            (0..chars.len()).flat_map(|start| (start + 1..=chars.len().min(start + 3)).map(move |end| start..end));
        for part in parts.chain(std::iter::once(0..chars.len())) {
            let part: String = chars[part].iter().collect();
            queries.extend([format!("{part} qqq"), format!("便宜{part}"), part]);
        }
    }
    queries
}

#[test]
fn creating_a_product_invalidates_a_tag_of_every_page_that_shows_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(directory.path(), 64).expect("an empty directory");
    let products: Vec<Product> = TEXTS.iter().enumerate().map(|(at, text)| product(at + 1, text)).collect();
    store.put(&products).expect("they are taken");
    let names = Categories::from([(2, "灯 Lamps".to_owned())]);
    let commit = Commit { position: 1, epoch: None, pending_invalidation: false, categories: names.clone() };
    let snapshot = store.commit(&commit).expect("it is committed");
    let raised: Vec<BTreeSet<Tag>> = products.iter().map(|product| raised(product, &names)).collect();

    let (mut shown, mut partial) = (0, 0);
    for q in queries() {
        let search = Search { about: QueryTerms::parse(&q), filter: Filter::default(), limit: 100, cursor: None };
        let finding = page::find(&search, &snapshot).expect("it is found");
        let of_contents = |tag: &&Tag| !tag.as_str().starts_with("product:") && !tag.as_str().starts_with("category:");
        let tags: BTreeSet<Tag> = finding.tags.iter().filter(of_contents).cloned().collect();
        for hit in &finding.page.hits {
            let of_product = &raised[usize::try_from(hit.id - 1).expect("an id")];
            assert!(!tags.is_disjoint(of_product), "{q:?}: {tags:?} {:?} {of_product:?}", hit.name);
        }
        shown += finding.page.hits.len();
        partial += usize::from(finding.page.matched == page::Match::Partial);
    }
    assert!(shown > 300 && partial > 50, "the test is about nothing: {shown} {partial}");
}
