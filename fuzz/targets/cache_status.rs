//! `Cache-Status` and the text of `/metrics`: a client reads what any server sends.
#![no_main]

use cache::Outcome;
use cache::outcome::{Bypass, Fill, FillRefusal};
use client::Source;
use libfuzzer_sys::fuzz_target;
use sfv::{List, Parser};

const OUTCOMES: [Outcome; 12] = [
    Outcome::Hit,
    Outcome::NearHit,
    Outcome::Stale,
    Outcome::StaleIfError,
    Outcome::Unverified,
    Outcome::Miss(Fill::Stored),
    Outcome::Miss(Fill::Refused(FillRefusal::VersionOutdated)),
    Outcome::Miss(Fill::TooLarge),
    Outcome::Collapsed,
    Outcome::Bypass(Bypass::RedisDown),
    Outcome::Bypass(Bypass::InvalidationPending),
    Outcome::Bypass(Bypass::Requested("by-token")),
];

fuzz_target!(|input: (u8, &str)| {
    let (number, text) = input;
    // The header of our server is the nearest, also if a proxy has added others before it.
    let outcome = OUTCOMES[usize::from(number) % OUTCOMES.len()];
    let ours = format!("product-api; {outcome}");
    assert!(Parser::new(&ours).parse::<List>().is_ok(), "{ours}");
    let alone = Source::parse(&ours);
    assert_eq!(alone.is_cached(), outcome.is_cached(), "{ours}");
    if Parser::new(text).parse::<List>().is_ok_and(|caches| !caches.is_empty()) {
        assert_eq!(Source::parse(&format!("{text}, {ours}")), alone, "{text:?}");
    }
    let _ = Source::parse(text);
    let metrics = client::Metrics::parse(text);
    let _ = metrics.sum("cache_reads_total", &[("outcome", "hit")]);
});
