//! Any bytes as streams of HTTP/3: frames, and header fields in them.
#![no_main]

#[path = "../../transport/tests/fuzzed/http3.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data));
