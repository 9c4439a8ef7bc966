//! Any bytes as a request: the partial decoder beside the full one.
#![no_main]

#[path = "../../proto/tests/fuzzed/request.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
