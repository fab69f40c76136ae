//! The address that reads each entry, and the removal of all entries.

use std::collections::HashMap;

use anyhow::Result;
use testkit::private_system::Service;

use super::access::System;

/// Returns the path that reads an entry at its service, or `None` if no path reads it. A key names a cart by its
/// reference, and a path by its id; `carts` maps references to ids.
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

/// Converts the normal form of a search, `q=oak+lamp&category=3&price=-5000&limit=20`, to a path. Words may contain the
/// characters that separate words and fields: `q=c+++at&t&category=…` is `c++` and `at&t`. No word contains a `=` or
/// begins with a `+`.
fn search(page: &str) -> Option<String> {
    let (words, rest) = page.strip_prefix("q=")?.split_once("&category=")?;
    let (category, rest) = rest.split_once("&price=")?;
    let mut rest = rest.split('&');
    let (least, most) = rest.next()?.split_once('-')?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    // A dash stands for a query without any letter or digit.
    query.append_pair("q", &if words == "-" { "!".to_owned() } else { spaced(words) });
    for (name, value) in [("category", category), ("min_price", least), ("max_price", most)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    for field in rest {
        let (name, value) = field.split_once('=')?;
        query.append_pair(name, value);
    }
    Some(format!("/search?{}", query.finish()))
}

/// Replaces the `+` between words by spaces: the last `+` before a letter separates words, and any other belongs to a
/// word.
fn spaced(words: &str) -> String {
    let mut letters = words.chars().peekable();
    let mut spaced = String::with_capacity(words.len());
    while let Some(letter) = letters.next() {
        let is_between = letter == '+' && letters.peek().is_some_and(|next| *next != '+');
        spaced.push(if is_between { ' ' } else { letter });
    }
    spaced
}

/// Removes every entry of a service directly in Redis, without the service.
pub(crate) async fn forget(system: &impl System, service: Service) -> Result<()> {
    let scan = "local cursor = '0' repeat local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000, 'TYPE', 'string') \
                cursor = page[1] for _, key in ipairs(page[2]) do redis.call('UNLINK', key) end until cursor == '0'";
    let pattern = format!("{}:[^~]*", service.name().trim_end_matches("-api"));
    system.redis(&["EVAL", scan, "0", &pattern]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_maps_to_the_path_that_reads_it() {
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
            ("search:page:q=c++&category=&price=-&limit=20", "/search?q=c%2B%2B&limit=20"),
            ("search:page:q=c+++x&category=&price=-&limit=20", "/search?q=c%2B%2B+x&limit=20"),
            ("search:page:q=at&t&category=2&price=5-&limit=20", "/search?q=at%26t&category=2&min_price=5&limit=20"),
            ("search:page:q=保护壳&category=&price=-&limit=20", "/search?q=%E4%BF%9D%E6%8A%A4%E5%A3%B3&limit=20"),
            ("recommendation:list:8", "/recommendations/8"),
            ("recommendation:basket:5e1f", "/recommendations?cart=0f3a"),
        ] {
            assert_eq!(path(key, &carts).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(path("cart:product:1", &carts), None);
        assert_eq!(path("cart:view:0f3a", &carts), None, "no key has an id");
    }
}
