//! Any bytes as header blocks.
#![no_main]

#[path = "../../transport/tests/fuzzed/hpack.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
