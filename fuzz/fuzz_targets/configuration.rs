//! Any bytes as the configuration file of a router.
#![no_main]

#[path = "../../broker/tests/fuzzed/configuration.rs"]
mod property;

use std::sync::LazyLock;

use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("there is room for temporary files"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::check(data, FOLDER.path()));
