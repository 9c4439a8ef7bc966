//! Any text as a conf string.
#![no_main]

#[path = "../../daemon/tests/fuzzed/conf_string.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
