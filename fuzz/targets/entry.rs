//! The bytes under an entry's key in Redis: every part of what was parsed can be looked at, at any time.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| cache::fuzzing::entry(raw));
