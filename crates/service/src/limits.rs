//! Bounds of the settings that services share: unusable values are refused at startup, with the name of the setting.
//!
//! Zero would make a loop spin, a queue refuse everything or a timer panic; a huge duration overflows the clock; a huge
//! number requests more memory or connections than there are. So every number and every duration has a lower and an
//! upper bound here. [`check_policies`](crate::policy_settings::check_policies) checks the combinations of settings
//! that concern loads.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use actix_web::http::Uri;
use cache::CacheSettings;
use contract::product_api::ProductApiSettings;
use database::PostgresSettings;
use outbox::consumer::ConsumerSettings;
use outbox::relay::RelaySettings;

use crate::server::{HttpSettings, MAX_WORKERS};
use crate::settings::SettingsError;
use crate::telemetry::TraceSettings;

type Checked = Result<(), SettingsError>;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Refuses a value outside of `range`.
///
/// # Errors
/// Returns an error that names the setting.
pub fn within<T: PartialOrd + Debug>(setting: &str, value: T, range: RangeInclusive<T>) -> Checked {
    match range.contains(&value) {
        true => Ok(()),
        false => {
            let reason = format!("must be between {:?} and {:?}, not {value:?}", range.start(), range.end());
            Err(SettingsError::wrong(setting, reason))
        }
    }
}

/// Checks the `[http]` section.
///
/// # Errors
/// Returns an error that names the first wrong setting, as all of these functions do.
pub fn http(http: &HttpSettings) -> Checked {
    within("HTTP__WORKERS", http.workers, 0..=MAX_WORKERS)?;
    // The semaphore panics above the number that it can count; this bound is below it.
    within("HTTP__MAX_CONNECTIONS", http.max_connections, 1..=1_000_000)?;
    within("HTTP__KEEP_ALIVE", http.keep_alive, SECOND..=HOUR)?;
    within("HTTP__HEADERS_TIMEOUT", http.headers_timeout, 10 * MS..=HOUR)?;
    within("HTTP__BODY_TIMEOUT", http.body_timeout, 10 * MS..=HOUR)?;
    within("HTTP__WRITE_TIMEOUT", http.write_timeout, 10 * MS..=HOUR)?;
    within("HTTP__DRAIN_DELAY", http.drain_delay, Duration::ZERO..=HOUR)?;
    within("HTTP__GRACE", http.grace, Duration::ZERO..=HOUR)
}

/// Checks the `[traces]` section.
pub fn traces(traces: &TraceSettings) -> Checked {
    within("TRACES__INTERVAL", traces.interval, 10 * MS..=MINUTE)?;
    if traces.endpoint.is_empty() || is_address(&traces.endpoint) {
        return Ok(());
    }
    let reason = "(or OTEL_EXPORTER_OTLP_ENDPOINT) must be an address such as http://host:4318, without TLS, a query or \
                  a fragment";
    Err(SettingsError::wrong("TRACES__ENDPOINT", reason))
}

/// Checks the `[postgres]` section.
pub fn postgres(postgres: &PostgresSettings) -> Checked {
    within("POSTGRES__MAX_CONNECTIONS", postgres.max_connections.get(), 1..=1_000)?;
    within("POSTGRES__WAIT_TIMEOUT", postgres.wait_timeout, 10 * MS..=30 * SECOND)?;
    // Without a limit, nothing bounds a load, or how long an unanswered COMMIT can still take effect.
    within("POSTGRES__STATEMENT_TIMEOUT", postgres.statement_timeout, 10 * MS..=40 * SECOND)
}

/// Checks the `[redis]` section.
pub fn redis(redis: &CacheSettings) -> Checked {
    within("REDIS__COMMAND_TIMEOUT", redis.command_timeout, MS..=10 * SECOND)?;
    within("REDIS__BREAKER_THRESHOLD", redis.breaker_threshold, 1..=1_000)?;
    within("REDIS__MAX_LOADS", redis.max_loads, 1..=10_000)?;
    within("REDIS__LOAD_QUEUE", redis.load_queue, Duration::ZERO..=MINUTE)?;
    within("REDIS__SWEEP_REST", redis.sweep_rest, 10 * MS..=DAY)?;
    // Below it, the memory holds hardly an entry, and each process that could hold one delays the writes.
    within("REDIS__NEAR_WEIGHT", redis.near_weight, 65_536..=1 << 40)
}

/// Checks the `[relay]` section.
pub fn relay(relay: &RelaySettings) -> Checked {
    within("RELAY__BATCH", relay.batch, 1..=10_000)?;
    within("RELAY__HOOK_TIMEOUT", relay.hook_timeout, SECOND..=HOUR)?;
    within("RELAY__POLL", relay.poll, 10 * MS..=DAY)?;
    within("RELAY__RETENTION", relay.retention, SECOND..=365 * DAY)?;
    within("RELAY__PRUNE_EVERY", relay.prune_every, 10 * MS..=DAY)?;
    within("RELAY__STREAM_LENGTH", relay.stream_length, 1..=100_000_000)
}

/// Checks the `[events]` section.
pub fn events(events: &ConsumerSettings) -> Checked {
    within("EVENTS__BATCH", events.batch, 1..=10_000)?;
    // With a shorter time, events are claimed from peers that are still applying them.
    within("EVENTS__CLAIM_AFTER", events.claim_after, 100 * MS..=DAY)?;
    within("EVENTS__HANDLER_TIMEOUT", events.handler_timeout, SECOND..=HOUR)?;
    // With more attempts, each refused event would stop its consumer for minutes.
    within("EVENTS__MAX_ATTEMPTS", events.max_attempts, 1..=ConsumerSettings::MOST_ATTEMPTS)?;
    within("EVENTS__STALE_AFTER", events.stale_after, ConsumerSettings::LEAST_STALE_AFTER..=10 * MINUTE)
}

/// Checks the `[product_api]` section.
pub fn product_api(api: &ProductApiSettings) -> Checked {
    url("PRODUCT_API__URL", &api.url)?;
    within("PRODUCT_API__TIMEOUT", api.timeout, 10 * MS..=30 * SECOND)
}

/// Checks the address of another service.
pub fn url(setting: &str, url: &str) -> Checked {
    if is_address(url) {
        return Ok(());
    }
    // The error omits the address, because it may contain a password. The services' clients have no TLS.
    let reason = "must be an address such as http://host:port, without TLS, a query or a fragment";
    Err(SettingsError::wrong(setting, reason))
}

/// Returns whether the path of a request can be appended to `text`.
fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let has_port = authority.port_u16().is_some();
    // Otherwise, the text after the host is an invalid port.
    let has_host = !authority.host().is_empty() && (has_port || authority.as_str().ends_with(authority.host()));
    // The parser drops a fragment.
    let ends_with_path = uri.query().is_none() && !text.contains('#');
    has_host && ends_with_path && uri.scheme_str() == Some("http")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_outside_of_its_bounds_is_refused_with_name_and_bounds() {
        assert!(within("RELAY__BATCH", 1, 1..=10).is_ok());
        let error = within("RELAY__POLL", Duration::ZERO, 10 * MS..=DAY).unwrap_err().to_string();
        assert!(error.contains("RELAY__POLL") && error.contains("10ms") && error.contains("0ns"), "{error}");
    }

    #[test]
    fn attempts_for_a_refused_event_are_bounded() {
        let most = ConsumerSettings::MOST_ATTEMPTS;
        for (max_attempts, is_accepted) in [(0, false), (1, true), (most, true), (most + 1, false), (1_000, false)] {
            let checked = events(&ConsumerSettings { max_attempts, ..ConsumerSettings::default() });
            assert_eq!(checked.is_ok(), is_accepted, "{max_attempts}: {checked:?}");
            let names_it = |error: SettingsError| error.to_string().contains("EVENTS__MAX_ATTEMPTS");
            assert!(checked.err().is_none_or(names_it), "{max_attempts}");
        }
    }

    #[test]
    fn address_must_have_a_scheme_and_a_host_and_end_with_its_path() {
        for (address, is_one) in [
            ("http://127.0.0.1:8004", true),
            ("http://shop.example/api", true),
            ("https://shop.example/api", false),
            ("127.0.0.1:8004", false),
            ("http://", false),
            ("ftp://shop", false),
            ("http://127.0.0.1:8004?x=1", false),
            ("http://shop.example/api?", false),
            ("http://127.0.0.1:8004#x", false),
            ("http://shop.example/api#", false),
            ("http://shop:port", false),
            ("", false),
        ] {
            assert_eq!(url("CART__URL", address).is_ok(), is_one, "{address}");
            let traces = TraceSettings { endpoint: address.to_owned(), ..TraceSettings::default() };
            assert_eq!(super::traces(&traces).is_ok(), is_one || address.is_empty(), "{address}");
        }
    }
}
