//! Plans the steps for a batch of entries: pure functions, so that tests can cover every case.

use super::dead_letter::DeadLetter;
use super::stream::{Body, Entry};
use crate::event::{Event, EventData, Unreadable};

/// One step; the steps are in the order of the numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<T> {
    /// Apply these events.
    Apply(Vec<Event<T>>),
    /// Fetch the events after the first number, up to the second: the stream does not have them. Without the first
    /// number, the size of the gap is unknown.
    Fetch(Option<u64>, u64),
    /// Write this dead letter.
    SetAside(DeadLetter),
}

/// Plans the steps for `entries`, which are in the order of their ids. `types` are the known types. `floor` is the
/// number up to which the reader has applied every event, if the reader may continue from there when the stream has
/// nothing before an entry. `first_seq` is the number with which the stream began.
pub(super) fn plan<T: EventData>(
    entries: &[Entry], types: &[&str], floor: Option<u64>, first_seq: u64,
) -> Vec<Step<T>> {
    let mut steps = Vec::new();
    let mut readable: Vec<Event<T>> = Vec::with_capacity(entries.len());
    let mut previous: Option<u64> = None;
    for entry in entries {
        if let Some((after, until)) = hole(entry, previous, floor, first_seq) {
            flush(&mut steps, &mut readable);
            steps.push(Step::Fetch(after, until));
        }
        // Only an entry that no relay has appended can repeat a number (`5-1`). Its event is ignored.
        let again = previous == Some(entry.seq);
        previous = Some(entry.seq);
        match parse(entry, types) {
            Ok(event) if again => drop(event),
            Ok(event) => readable.push(event),
            Err(None) => {
                flush(&mut steps, &mut readable);
                steps.push(Step::Fetch(Some(entry.seq.saturating_sub(1)), entry.seq));
            }
            Err(Some(mut letter)) => {
                flush(&mut steps, &mut readable);
                // The log may have a readable copy of this message: only the log decides whether data is lost.
                let fetch = letter.reason == "malformed" && !again;
                letter.loses_data &= !fetch && !again;
                steps.push(Step::SetAside(letter));
                if fetch {
                    steps.push(Step::Fetch(Some(entry.seq.saturating_sub(1)), entry.seq));
                }
            }
        }
    }
    flush(&mut steps, &mut readable);
    steps
}

fn flush<T>(steps: &mut Vec<Step<T>>, readable: &mut Vec<Event<T>>) {
    if !readable.is_empty() {
        steps.push(Step::Apply(std::mem::take(readable)));
    }
}

/// Returns the gap directly before this entry.
fn hole(entry: &Entry, previous: Option<u64>, floor: Option<u64>, first_seq: u64) -> Option<(Option<u64>, u64)> {
    let until = entry.seq.checked_sub(1)?;
    let after = match entry.before {
        // A deleted entry is fetched itself. The entries before it were read with it, or have an entry of their own in
        // the batch.
        _ if entry.body == Body::Gone => return None,
        // The stream begins here. If it has always begun here, there is nothing before this entry.
        Some(0) if entry.seq <= first_seq.max(1) => return None,
        Some(0) => floor.filter(|floor| *floor <= until),
        Some(before) => Some(before),
        None => Some(previous?),
    };
    (after != Some(until) && after.is_none_or(|after| after < until)).then_some((after, until))
}

/// Parses the event of an entry. The error is `None` if the entry has no content for a dead letter.
pub(super) fn parse<T: EventData>(entry: &Entry, types: &[&str]) -> Result<Event<T>, Option<DeadLetter>> {
    let malformed = |what: String, json: &[u8]| {
        DeadLetter::unreadable(&Unreadable::Malformed(what), entry.id.clone(), json.to_vec())
    };
    match &entry.body {
        Body::Gone => Err(None),
        Body::Foreign => Err(Some(malformed("there is no field `event`".to_owned(), b""))),
        Body::Event(json) => match Event::<T>::parse(json, types) {
            Ok(event) if event.seq != entry.seq => Err(Some(malformed(format!("it says seq {}", event.seq), json))),
            Ok(event) => Ok(event),
            Err(why) => Err(Some(DeadLetter::unreadable(&why, entry.id.clone(), json.clone()))),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TYPES: &[&str] = &["order.deleted"];

    #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
    struct Change {
        order_id: i64,
    }

    fn entry(seq: u64, before: Option<u64>) -> Entry {
        let event = json!({
            "event_id": uuid::Uuid::nil(), "seq": seq, "type": "order.deleted", "order_id": 1,
            "occurred_at": "2026-11-22T10:00:00Z",
        });
        let body = Body::Event(event.to_string().into_bytes());
        Entry { id: format!("{seq}-0"), seq, before, body }
    }

    /// The steps as text: `1 2` for events, `4..6` for a fetch, `?..6` for a fetch with an unknown beginning.
    fn told(entries: &[Entry], floor: Option<u64>, first_seq: u64) -> Vec<String> {
        let tell = |step: &Step<Change>| match step {
            Step::Apply(events) => events.iter().map(|event| event.seq.to_string()).collect::<Vec<_>>().join(" "),
            Step::Fetch(Some(after), until) => format!("{}..{until}", after + 1),
            Step::Fetch(None, until) => format!("?..{until}"),
            Step::SetAside(letter) => format!("{} {}", letter.reason, letter.loses_data),
        };
        plan(entries, TYPES, floor, first_seq).iter().map(tell).collect()
    }

    #[test]
    fn entry_directly_after_its_predecessor_has_no_gap() {
        for before in [None, Some(4)] {
            assert_eq!(told(&[entry(5, before), entry(6, None), entry(7, Some(6))], Some(1), 1), ["5 6 7"]);
        }
    }

    #[test]
    fn gap_is_fetched_between_its_neighbours() {
        assert_eq!(told(&[entry(5, Some(2)), entry(6, None)], Some(2), 1), ["3..4", "5 6"]);
        assert_eq!(told(&[entry(5, None), entry(8, None)], None, 1), ["5", "6..7", "8"]);
    }

    #[test]
    fn gap_before_the_first_entry_depends_on_the_original_first_number() {
        assert_eq!(told(&[entry(5, Some(0))], None, 5), ["5"]);
        assert_eq!(told(&[entry(1, Some(0))], None, 0), ["1"]);
        assert_eq!(told(&[entry(5, Some(0))], None, 3), ["?..4", "5"]);
        assert_eq!(told(&[entry(5, Some(0))], Some(2), 3), ["3..4", "5"]);
        assert_eq!(told(&[entry(5, Some(0))], Some(4), 3), ["5"]);
        assert_eq!(told(&[entry(5, Some(0))], Some(9), 3), ["?..4", "5"], "it was further, so it is another stream");
    }

    #[test]
    fn entry_deleted_after_its_delivery_is_fetched() {
        let gone = Entry { body: Body::Gone, ..entry(6, Some(2)) };
        assert_eq!(told(&[entry(5, Some(4)), gone, entry(7, Some(6))], None, 1), ["5", "6..6", "7"]);
    }

    #[test]
    fn unreadable_entry_becomes_a_dead_letter_and_is_fetched() {
        let rubbish = Entry { body: Body::Event(b"rubbish".to_vec()), ..entry(6, None) };
        assert_eq!(told(&[entry(5, None), rubbish, entry(7, None)], None, 1), ["5", "malformed false", "6..6", "7"]);
        let foreign = Entry { body: Body::Foreign, ..entry(6, None) };
        assert_eq!(told(&[foreign], None, 1), ["malformed false", "6..6"]);
        let other = Entry { seq: 6, id: "6-0".to_owned(), ..entry(5, None) };
        assert_eq!(told(&[other], None, 1), ["malformed false", "6..6"]);
    }

    #[test]
    fn second_entry_with_the_same_number_is_ignored() {
        let second = Entry { id: "5-1".to_owned(), ..entry(5, None) };
        assert_eq!(told(&[entry(5, None), second.clone(), entry(6, None)], None, 1), ["5 6"]);
        let rubbish = Entry { body: Body::Foreign, ..second };
        assert_eq!(told(&[entry(5, None), rubbish, entry(6, None)], None, 1), ["5", "malformed false", "6"]);
    }
}
