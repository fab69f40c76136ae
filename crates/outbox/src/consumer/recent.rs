//! The events that this process has applied recently.

use std::collections::BTreeMap;

use uuid::Uuid;

/// The number of remembered events. If an event is delivered again after this many others, it is applied again.
const REMEMBERED: usize = 65_536;

/// The ids of recently applied events, by number. The number alone does not identify an event: a restored database
/// assigns it again, to another event.
#[derive(Debug, Default)]
pub(super) struct RecentEvents {
    events: BTreeMap<u64, Uuid>,
}

impl RecentEvents {
    pub(super) fn has(&self, seq: u64, event: Uuid) -> bool {
        self.events.get(&seq) == Some(&event)
    }

    /// Remembers an event, and removes the event with the lowest number if there are too many.
    pub(super) fn add(&mut self, seq: u64, event: Uuid) {
        self.events.insert(seq, event);
        if self.events.len() > REMEMBERED {
            self.events.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_numbers_are_remembered() {
        let (mut applied, event) = (RecentEvents::default(), Uuid::now_v7());
        let many = REMEMBERED as u64;
        (1..=many + 1).for_each(|seq| applied.add(seq, event));
        let has = |seq| applied.has(seq, event);
        assert!(!has(1) && has(2) && has(many + 1) && !has(many + 2));
    }

    #[test]
    fn another_event_with_the_same_number_is_not_recently_applied() {
        let (mut applied, before, restored) = (RecentEvents::default(), Uuid::now_v7(), Uuid::now_v7());
        applied.add(7, before);
        assert!(!applied.has(7, restored));
        applied.add(7, restored);
        assert!(applied.has(7, restored) && !applied.has(7, before));
    }
}
