//! What the `[events]` section must hold: a value that cannot work is refused at the start, by the name that one would set.

use std::time::Duration;

use events::consumer::ConsumerSettings;

use crate::settings::SettingsError;

/// A shorter time would be over between two commands to Redis.
const LEAST_CLAIM_AFTER: Duration = Duration::from_millis(100);

/// What is called current for longer than this is not bounded in any useful way.
const MOST_STALE_AFTER: Duration = Duration::from_secs(600);

/// Refuses settings of a consumer that cannot work.
///
/// # Errors
/// By the name of the first setting that is wrong.
pub fn check_events(events: &ConsumerSettings) -> Result<(), SettingsError> {
    let least = ConsumerSettings::LEAST_STALE_AFTER;
    let rules = [
        ("EVENTS__BATCH", events.batch > 0, "must be above zero".to_owned()),
        (
            "EVENTS__CLAIM_AFTER",
            events.claim_after >= LEAST_CLAIM_AFTER,
            format!("must be {LEAST_CLAIM_AFTER:?} or more"),
        ),
        ("EVENTS__MAX_ATTEMPTS", events.max_attempts > 0, "must be above zero".to_owned()),
        (
            "EVENTS__STALE_AFTER",
            (least..=MOST_STALE_AFTER).contains(&events.stale_after),
            format!("must be between {least:?} and {MOST_STALE_AFTER:?}"),
        ),
    ];
    match rules.into_iter().find(|(_, holds, _)| !holds) {
        Some((name, _, reason)) => Err(SettingsError::wrong(name, reason)),
        None => Ok(()),
    }
}
