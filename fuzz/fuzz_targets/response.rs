//! Any bytes as a response: the partial decoder beside the full one.
#![no_main]

#[path = "../../proto/tests/fuzzed/response.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
