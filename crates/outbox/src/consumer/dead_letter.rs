//! A message that cannot be applied.

use super::stream::{Body, Entry};
use crate::event::Unreadable;

/// A message that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeadLetter {
    /// The reason in one word, for the metrics.
    pub(super) reason: &'static str,
    /// The reason in a sentence.
    pub(super) detail: String,
    /// The id of its entry in the stream.
    pub(super) id: String,
    /// The event's JSON.
    pub(super) event: Vec<u8>,
    /// Whether the effects may lack this event.
    pub(super) loses_data: bool,
}

impl DeadLetter {
    /// Creates the dead letter of an event that was parsed but cannot be applied.
    pub(super) fn refused(entry: &Entry, detail: String) -> Self {
        let event = match &entry.body {
            Body::Event(json) => json.clone(),
            Body::Foreign | Body::Gone => Vec::new(),
        };
        Self { reason: "refused", detail, id: entry.id.clone(), event, loses_data: true }
    }

    pub(super) fn fields(&self, stream: &str) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("reason", self.reason.into()),
            ("detail", self.detail.clone().into_bytes()),
            ("stream", stream.into()),
            ("id", self.id.clone().into_bytes()),
            ("event", self.event.clone()),
        ]
    }

    /// Returns the number of the event, if its entry is the only one with this number.
    pub(super) fn number(&self) -> Option<u64> {
        self.id.strip_suffix("-0")?.parse().ok()
    }

    pub(super) fn unreadable(why: &Unreadable, id: String, event: Vec<u8>) -> Self {
        let (reason, loses_data) = match why {
            Unreadable::Malformed(_) => ("malformed", true),
            Unreadable::UnknownType(_) => ("unknown-type", false),
            Unreadable::NewerSchema(_) => ("newer-schema", true),
        };
        Self { reason, detail: why.to_string(), id, event, loses_data }
    }
}
