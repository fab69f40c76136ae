//! The bytes under an entry's key in Redis: any bytes can be looked at, and what was parsed can be parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| cache::fuzzing::entry(raw));
