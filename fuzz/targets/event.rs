//! The JSON of events: any bytes can be refused, and an event is the same after it was written and parsed again.
#![no_main]

use contract::{CartChange, ProductChange};
use libfuzzer_sys::fuzz_target;
use outbox::Event;

fuzz_target!(|json: &[u8]| {
    if let Ok(event) = Event::<ProductChange>::parse(json, ProductChange::TYPES) {
        let _ = event.change.subject().to_string();
        let written = serde_json::to_vec(&event).expect("an event is plain data");
        assert_eq!(Event::parse(&written, ProductChange::TYPES), Ok(event));
    }
    if let Ok(event) = Event::<CartChange>::parse(json, CartChange::TYPES) {
        let written = serde_json::to_vec(&event).expect("an event is plain data");
        assert_eq!(Event::parse(&written, CartChange::TYPES), Ok(event));
    }
});
