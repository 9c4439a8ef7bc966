//! Any bytes as what the client of a connection sends.
#![no_main]

#[path = "../../transport/tests/fuzzed/connection.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
