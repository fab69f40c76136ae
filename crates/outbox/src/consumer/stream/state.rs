//! The state of a stream and of its readers, as `stream_state.lua` returns it.

use uuid::Uuid;

use crate::log::LogPosition;

/// The state of a stream, and the position of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// The first number in the stream; 0 if it is empty.
    pub(crate) first: u64,
    /// The last number that was added to the stream; 0 if there was none.
    pub(crate) last: u64,
    /// The number of entries that were ever added.
    pub(crate) added: u64,
    pub(crate) group: bool,
    /// The number up to which events were delivered.
    pub(crate) delivered: u64,
    /// The number of pending entries: delivered, but not acknowledged.
    pub(crate) pending: u64,
    /// The number up to which all delivered events are acknowledged.
    pub(crate) done: u64,
    /// The oldest unapplied event.
    pub(crate) oldest: Option<Vec<u8>>,
    /// The epoch of the last event in the stream, if the event contains one.
    pub(crate) epoch: Option<Uuid>,
}

impl StreamState {
    /// Returns whether the stream holds this number, judging by its first and last number.
    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.first > 0 && (self.first..=self.last).contains(&seq)
    }

    /// Returns whether a reader that has applied everything up to `position` may have read this stream to its end.
    pub(crate) fn can_end_at(&self, position: LogPosition) -> bool {
        let is_other = self.epoch.is_some() && position.epoch.is_some() && self.epoch != position.epoch;
        position.seq <= self.last && !(position.seq == self.last && is_other)
    }

    /// Returns the newest event, if the log reports `head` as its newest: the relay may not have appended all events
    /// yet. `made_good` is the number up to which events count as applied although an empty stream does not have them.
    pub(crate) fn newest(&self, head: Option<u64>, made_good: u64) -> u64 {
        match head.unwrap_or(0) {
            head if self.last == 0 && head <= made_good => 0,
            head => self.last.max(head),
        }
    }

    /// Returns the number up to which `group` has applied every event; it is `done` for a reader without a group. An empty
    /// stream has no events, and those up to `made_good` count as applied.
    pub(crate) fn applied(&self, group: &str, made_good: Option<u64>) -> u64 {
        match self.group || group.is_empty() {
            true if self.last == 0 => self.done.max(made_good.unwrap_or(0)),
            true => self.done,
            false => 0,
        }
    }

    /// Returns the number with which the stream began.
    pub(crate) fn first_seq(&self) -> u64 {
        (self.last + 1).saturating_sub(self.added)
    }

    pub(crate) fn lag(&self) -> u64 {
        self.last.saturating_sub(self.delivered.max(self.first.saturating_sub(1))) + self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream_state(first: u64, last: u64, added: u64, delivered: u64, pending: u64) -> StreamState {
        StreamState { first, last, added, group: true, delivered, pending, done: delivered, oldest: None, epoch: None }
    }

    #[test]
    fn lag_counts_undelivered_and_pending_events() {
        assert_eq!(stream_state(1, 9, 9, 9, 0).lag(), 0);
        assert_eq!(stream_state(1, 9, 9, 6, 2).lag(), 5);
        assert_eq!(stream_state(4_711, 4_713, 3, 0, 0).lag(), 3, "what the stream never had does not count");
        assert_eq!(stream_state(0, 0, 0, 7, 0).lag(), 0);
    }

    #[test]
    fn newest_event_includes_events_that_the_relay_has_not_appended() {
        for (last, head, made_good, newest) in [
            (9, Some(12), 0, 12),
            (9, Some(12), 12, 12),
            (9, Some(4), 0, 9), // the log's database is being restored
            (9, None, 0, 9),
            (0, Some(12), 12, 0),
            (0, Some(13), 12, 13), // the first event that the relay has not appended
            (0, None, 12, 0),
        ] {
            let look = stream_state(u64::from(last > 0), last, last, 0, 0);
            assert_eq!(look.newest(head, made_good), newest, "{last} {head:?} {made_good}");
        }
    }

    #[test]
    fn trimmed_stream_keeps_its_first_number() {
        assert_eq!(stream_state(4_712, 4_713, 3, 0, 0).first_seq(), 4_711);
        assert_eq!(stream_state(1, 3, 3, 0, 0).first_seq(), 1);
    }

    #[test]
    fn stream_that_ends_earlier_or_in_another_epoch_is_another_stream() {
        let (one, two) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        for (seq, epoch, ends, may) in [
            (9, one, one, true),
            (9, one, two, false),
            (8, one, two, true),
            (10, one, one, false),
            (9, None, two, true),
            (9, one, None, true),
        ] {
            let look = StreamState { epoch: ends, ..stream_state(1, 9, 9, 0, 0) };
            assert_eq!(look.can_end_at(LogPosition { seq, epoch }), may, "{seq} {epoch:?} {ends:?}");
        }
    }

    #[test]
    fn empty_stream_contains_no_number() {
        assert!(!stream_state(0, 9, 9, 0, 0).contains(5) && !stream_state(0, 0, 0, 0, 0).contains(0));
        assert!(stream_state(5, 9, 5, 0, 0).contains(5) && !stream_state(5, 9, 5, 0, 0).contains(10));
    }
}
