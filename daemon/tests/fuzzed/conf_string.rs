//! What holds for any text that claims to be a conf string.

use edge_daemon::conf_string::{ConfSchema, Key, Kind};

static SCHEMA: ConfSchema = ConfSchema {
    option: "--conf",
    section: "section",
    kinds: &[
        Kind {
            name: "one",
            keys: &[Key::float("alpha"), Key::boolean("on")],
        },
        Kind {
            name: "two",
            keys: &[
                Key::integer("count"),
                Key::text("words"),
                Key::float("alpha"),
            ],
        },
    ],
    common: &[Key::float("period")],
};

/// Panics if a text is read as what the option does not know, or refused at a place that it does
/// not have.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for current in [None, Some("one"), Some("unknown")] {
        match SCHEMA.read(text, current) {
            Ok(fragment) => {
                const KEYS: [&str; 6] = ["type", "alpha", "on", "count", "words", "period"];
                assert!(
                    fragment
                        .table
                        .keys()
                        .all(|key| KEYS.contains(&key.as_str()))
                );
                let pairs = text.split(',').count();
                assert!(fragment.table.len() + fragment.warnings.len() <= pairs);
            }
            Err(error) => {
                assert!(
                    (1..=text.chars().count() + 1).contains(&error.at),
                    "{error}"
                );
                assert!(error.to_string().contains("--conf"));
            }
        }
    }
}
