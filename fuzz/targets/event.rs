//! The JSON of events: any bytes can be refused, and an event is the same after it was written and parsed again.
#![no_main]

use contract::ProductChange;
use libfuzzer_sys::fuzz_target;
use outbox::Event;

fuzz_target!(|json: &[u8]| {
    let Ok(event) = Event::<ProductChange>::parse(json, ProductChange::TYPES) else { return };
    let _ = event.change.subject().to_string();
    let written = serde_json::to_vec(&event).expect("an event is plain data");
    assert_eq!(Event::parse(&written, ProductChange::TYPES), Ok(event));
});
