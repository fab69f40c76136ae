//! What a server replies to a command that reads several entries.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cache::fuzzing::reply(bytes));
