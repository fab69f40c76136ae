//! The metrics of a consumer, by stream and group.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, Gauge, Histogram, NoopRecorder, counter, gauge, histogram};

use super::handler::Resync;

/// The metrics of one consumer; registered once.
#[derive(Clone)]
pub(super) struct Meter {
    /// The stream and the group. A listener that counts its own events has none.
    labels: Option<(&'static str, &'static str)>,
    pub(super) received: Counter,
    pub(super) duplicates: Counter,
    pub(super) gaps: Counter,
    pub(super) retries: Counter,
    pub(super) claimed: Counter,
    pub(super) lost: Counter,
    pub(super) connected: Gauge,
    applied: Counter,
    lag: Gauge,
    lag_seconds: Gauge,
    verified: Gauge,
    delay: Histogram,
}

impl Meter {
    pub(super) fn new(stream: &'static str, group: &'static str) -> Self {
        let counted = |name: &'static str| counter!(name, "stream" => stream, "group" => group);
        let measured = |name: &'static str| gauge!(name, "stream" => stream, "group" => group);
        Self {
            labels: Some((stream, group)),
            received: counted("events_received_total"),
            duplicates: counted("events_duplicates_total"),
            gaps: counted("events_gaps_total"),
            retries: counted("events_retries_total"),
            claimed: counted("events_claimed_total"),
            lost: counted("events_lost_total"),
            connected: measured("events_connected"),
            applied: counted("events_applied_total"),
            lag: measured("events_lag"),
            lag_seconds: measured("events_lag_seconds"),
            verified: measured("events_verified_timestamp_seconds"),
            delay: histogram!("events_delay_seconds", "stream" => stream, "group" => group),
        }
    }

    /// Returns metrics that nothing exports.
    pub(super) fn none() -> Self {
        Self { labels: None, ..metrics::with_local_recorder(&NoopRecorder, || Self::new("", "")) }
    }

    /// Counts applied events. The delay is the difference between the database's clock and the clock of this process,
    /// which are the same clock on one machine.
    pub(super) fn applied(&self, occurred: impl Iterator<Item = DateTime<Utc>>) {
        let now = Utc::now();
        let mut count = 0;
        for at in occurred {
            self.delay.record((now - at).to_std().unwrap_or_default());
            count += 1;
        }
        self.applied.increment(count);
    }

    pub(super) fn dead_letter(&self, reason: &'static str) {
        let Some((stream, group)) = self.labels else { return };
        counter!("events_dead_letters_total", "stream" => stream, "group" => group, "reason" => reason).increment(1);
    }

    pub(super) fn resync(&self, why: Resync) {
        let Some((stream, group)) = self.labels else { return };
        let why = match why {
            Resync::NewGroup => "new-group",
            Resync::Gap => "gap",
            Resync::LostEvent => "poison",
            Resync::RedisChanged => "redis-changed",
            Resync::OtherHistory => "other-history",
            Resync::Unsubscribed => "unsubscribed",
        };
        counter!("events_resyncs_total", "stream" => stream, "group" => group, "why" => why).increment(1);
    }

    /// Records that everything was applied `ago`. The gauge holds that time (Unix seconds), so its age grows until it
    /// is set again.
    pub(super) fn verified(&self, ago: Duration) {
        let at = Utc::now() - ago;
        self.verified.set(at.timestamp_micros() as f64 / 1e6);
    }

    /// Sets the number of unapplied events, and the age of the oldest of them.
    pub(super) fn lag(&self, events: u64, oldest: Option<DateTime<Utc>>) {
        let age = oldest.and_then(|at| (Utc::now() - at).to_std().ok()).unwrap_or_default();
        self.lag.set(events as f64);
        self.lag_seconds.set(age.as_secs_f64());
    }
}
