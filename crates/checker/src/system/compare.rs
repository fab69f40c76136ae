//! The full comparison: every entry of every cache must equal what a load would return now.
//!
//! Every entry is looked up and read through the address that shows it. Then the caches are emptied, and everything is
//! read again: products of each cache, lists, carts, search pages, recommendations, and "not found" entries. The cart's
//! data about a product has no address of its own; its version is compared with that of the row.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use client::{Entry, Source, cache_status};
use contract::cart_reference;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::Value;
use testkit::private_system::Service;
use tokio::time::sleep;

use super::complete::System;

#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) compared: u32,
    /// How many of them came from the cache of each service, in the order of [`Service::ALL`].
    pub(crate) hits: [u32; 4],
    /// How many of these said that the object does not exist.
    pub(crate) absent: u32,
    pub(crate) wrong: Vec<String>,
}

/// A response that bypassed the cache does not say what the cache holds. The read is repeated, for at most this time in
/// total.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Number of concurrent reads.
const AT_ONCE: usize = 8;

/// Compares these addresses, and every entry except those whose key `may_differ`. The products have these versions.
pub(crate) async fn compare(
    system: &impl System, http: &Client, versions: &BTreeMap<i64, i64>, more: &[String],
    may_differ: impl Fn(&str) -> bool,
) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    let mut urls: BTreeSet<String> = more.iter().cloned().collect();
    let processes = system.processes().await?;
    let carts = carts(system).await?;
    for service in Service::ALL {
        let base = system.url(service).await?;
        for entry in Entry::all(http, &base).await? {
            if entry.state == "leased" || may_differ(&entry.key) {
                continue;
            }
            match (path(&entry.key, &carts), entry.key.strip_prefix("cart:product:")) {
                (Some(path), _) => drop(urls.insert(format!("{base}{path}"))),
                (None, Some(id)) => {
                    comparison.wrong.extend(differs(&entry, versions.get(&id.parse::<i64>()?).copied()))
                }
                (None, None) => comparison.wrong.push(format!("an entry that nothing reads: {}", entry.key)),
            }
        }
    }
    let deadline = Instant::now() + ASK_AGAIN;
    let patiently = stream::iter(&urls).map(|url| read_patiently(http, url, deadline));
    let cached: Vec<_> = patiently.buffered(AT_ONCE).try_collect().await?;
    for service in Service::ALL {
        forget(system, service).await?;
    }
    let loaded: Vec<_> = stream::iter(&urls).map(|url| read(http, url)).buffered(AT_ONCE).try_collect().await?;
    for ((url, cached), loaded) in urls.iter().zip(cached).zip(loaded) {
        let from = processes.iter().find(|(_, base)| url.strip_prefix(base).is_some_and(|path| path.starts_with('/')));
        let from = from.map(|(service, _)| *service as usize).context("an address of no service")?;
        let hit = cached.source.is_cached();
        comparison.compared += 1;
        comparison.hits[from] += u32::from(hit);
        comparison.absent += u32::from(hit && cached.status == 404);
        if (cached.status, &cached.body) != (loaded.status, &loaded.body) {
            comparison.wrong.push(format!(
                "{url}\n    from its cache  {} {}\n    loaded          {} {}",
                cached.status, cached.body, loaded.status, loaded.body
            ));
        }
    }
    Ok(comparison)
}

/// Returns the ids of all carts, by the references that are used in keys.
async fn carts(system: &impl System) -> Result<HashMap<String, String>> {
    let rows = system.sql("cart_db", "SELECT id FROM carts").await?;
    rows.lines().map(|id| Ok((cart_reference(id.parse()?).to_string(), id.to_owned()))).collect()
}

/// Returns the difference between the cart's data about a product and its row.
fn differs(entry: &Entry, row: Option<i64>) -> Option<String> {
    let version = entry.version.and_then(|version| i64::try_from(version).ok());
    (version != row).then(|| format!("{}: version {version:?}, and the row has {row:?}", entry.key))
}

#[derive(Debug)]
struct Seen {
    status: u16,
    source: Source,
    body: Value,
}

async fn read_patiently(http: &Client, url: &str, deadline: Instant) -> Result<Seen> {
    loop {
        let seen = read(http, url).await?;
        if seen.source != Source::Bypass || Instant::now() > deadline {
            return Ok(seen);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn read(http: &Client, url: &str) -> Result<Seen> {
    let answer = http.get(url).send().await?;
    let status = answer.status().as_u16();
    let source = Source::parse(cache_status(answer.headers()));
    let mut body: Value = answer.json().await.with_context(|| format!("{url} is not JSON"))?;
    // The progress of the index, of the catalogue's copy and of the cart events is not part of the compared content.
    if let Some(body) = body.as_object_mut() {
        body.remove("index");
        body.remove("catalogue");
        body.remove("baskets");
    }
    Ok(Seen { status, source, body })
}

/// Returns the path that reads an entry at its service, or `None` if no path reads it. A key names a cart by its
/// reference, and a path by its id; `carts` maps references to ids.
pub(super) fn path(key: &str, carts: &HashMap<String, String>) -> Option<String> {
    let (keyspace, rest) = key.split_once(':')?;
    let (strategy, id) = rest.split_once(':')?;
    Some(match (keyspace, strategy) {
        ("product", "featured") => "/products/featured".to_owned(),
        ("product", strategy) => format!("/products/{strategy}/{id}"),
        ("cart", "view") => format!("/carts/{}", carts.get(id)?),
        ("search", "page") => search(id)?,
        ("recommendation", "list") => format!("/recommendations/{id}"),
        ("recommendation", "basket") => format!("/recommendations?cart={}", carts.get(id)?),
        _ => return None,
    })
}

/// Converts the normal form of a search, `q=oak+lamp&category=3&price=-5000&limit=20`, to a path. Words may contain the
/// characters that separate words and fields: `q=c+++at&t&category=…` is `c++` and `at&t`. No word contains a `=`, a `^` or
/// a `~`, or begins with a `+`.
fn search(page: &str) -> Option<String> {
    let (words, rest) = page.strip_prefix("q=")?.split_once("&category=")?;
    let (category, rest) = rest.split_once("&price=")?;
    let mut rest = rest.split('&');
    let (least, most) = rest.next()?.split_once('-')?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    // A dash stands for a query without any letter or digit.
    query.append_pair("q", &if words == "-" { "!".to_owned() } else { query_of(words) });
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

/// A word of the normal form, `power^powerbank*`: the word, and its joined forms with the marks before them.
struct KeyWord<'k> {
    word: &'k str,
    joined: Vec<&'k str>,
}

impl<'k> KeyWord<'k> {
    fn parse(text: &'k str) -> Self {
        let marks: Vec<usize> = text.match_indices(['^', '~']).map(|(at, _)| at).collect();
        let ends = marks.iter().skip(1).copied().chain([text.len()]);
        let joined = marks.iter().zip(ends).map(|(begin, end)| text[*begin..end].trim_end_matches('*')).collect();
        Self { word: &text[..marks.first().copied().unwrap_or(text.len())], joined }
    }

    /// Returns what was between this word and `next` in the query, if they were neighbours: their joined form follows a
    /// `^` if it was a space, and a `~` if it may have been a sign.
    fn between(&self, next: &Self) -> Option<&'static str> {
        let form = |mark: &str| format!("{mark}{}{}", self.word, next.word);
        let have = |form: &str| self.joined.contains(&form) && next.joined.contains(&form);
        let (pair, signed) = (form("^"), form("~"));
        // Longer words, digits, and the words of a chain such as `state-of-the-art` are joined only if a sign is between
        // them.
        let is_short = self.word.chars().count() <= 2 || next.word.chars().count() <= 2;
        let are_digits = self.word.ends_with(char::is_numeric) && next.word.starts_with(char::is_numeric);
        let is_chain = self.joined.iter().any(|form| form.starts_with('~') && form.len() > signed.len());
        match (have(&pair), have(&signed)) {
            (true, _) => Some(" "),
            (_, true) => Some(if is_short && !are_digits && !is_chain { " " } else { "-" }),
            _ => None,
        }
    }
}

/// Returns a query with this normal form. The last `+` before a letter separates two words, and any other belongs to a
/// word. Neighbours are recognised by their joined form; other words are in any order, but for the last one. A word with
/// several neighbours keeps one of them: such a query has another normal form, and its page is not compared.
fn query_of(normal_form: &str) -> String {
    let mut texts = vec![String::new()];
    let mut letters = normal_form.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next) if letter == '+' && *next != '+' => texts.push(String::new()),
            _ => texts.iter_mut().last().into_iter().for_each(|text| text.push(letter)),
        }
    }
    let words: Vec<KeyWord<'_>> = texts.iter().map(|text| KeyWord::parse(text)).collect();
    let next = |at: usize| {
        let other = (0..words.len()).filter(|other| *other != at);
        other.filter_map(|other| Some((other, words[at].between(&words[other])?))).next()
    };
    let has_previous: BTreeSet<usize> = (0..words.len()).filter_map(next).map(|(at, _)| at).collect();
    let mut firsts: Vec<usize> = (0..words.len()).filter(|at| !has_previous.contains(at)).collect();
    if firsts.is_empty() {
        // `lamp oak lamp`: the last word is also the first one.
        firsts.push(words.len() - 1);
    }
    let mut parts: Vec<(bool, String)> = Vec::new();
    for first in firsts {
        let (mut at, mut part) = (first, words[first].word.to_owned());
        for _ in 0..words.len() {
            let Some((other, between)) = next(at) else { break };
            part = part + between + words[other].word;
            at = other;
        }
        parts.push((at == words.len() - 1, part));
    }
    parts.sort_by_key(|(is_last, _)| *is_last);
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(", ")
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
                "search:page:q=bank^powerbank+c+++power^powerbank+usb&category=&price=-&limit=20",
                "/search?q=c%2B%2B%2C+power+bank%2C+usb&limit=20",
            ),
            (
                "search:page:q=desk^desklamp*^oakdesk+oak^oakdesk+lamp^desklamp*&category=&price=-&limit=20",
                "/search?q=oak+desk+lamp&limit=20",
            ),
            (
                "search:page:q=red+t~tshirt*+shirt~tshirt*&category=&price=-&limit=20",
                "/search?q=red%2C+t+shirt&limit=20",
            ),
            ("search:page:q=2026~202611*+11~202611*&category=&price=-&limit=20", "/search?q=2026-11&limit=20"),
            (
                "search:page:q=oak^lampoak^oaklamp*+lamp^lampoak^oaklamp*&category=&price=-&limit=20",
                "/search?q=lamp+oak+lamp&limit=20",
            ),
            (
                "search:page:q=power~powerbank*+bank~powerbank*&category=&price=-&limit=20",
                "/search?q=power-bank&limit=20",
            ),
            (
                "search:page:q=oak+lamp&category=3&price=5-5000&limit=7&cursor=s1",
                "/search?q=oak%2C+lamp&category=3&min_price=5&max_price=5000&limit=7&cursor=s1",
            ),
            ("search:page:q=c++&category=&price=-&limit=20", "/search?q=c%2B%2B&limit=20"),
            ("search:page:q=c+++x&category=&price=-&limit=20", "/search?q=c%2B%2B%2C+x&limit=20"),
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
