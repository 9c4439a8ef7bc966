//! Variables whose values are text, also where they look like something else.

use std::ffi::OsString;

/// Lambdas may be called 5, and inputs be `true` or `[1, 2]`.
const TEXTS: [&str; 2] = ["EDGECLIENT__LAMBDA", "EDGECLIENT__CONTENT"];

/// The environment of the process, for [`Layers`](edge_daemon::layers::Layers).
pub(super) fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().map(|(name, value)| {
        if TEXTS.iter().any(|&text| name == text) {
            (name, quoted(value))
        } else {
            (name, value)
        }
    })
}

/// `value` as a string of TOML, which it may be already.
fn quoted(value: OsString) -> OsString {
    match value.to_str() {
        Some(text) if !text.starts_with(['"', '\'']) => toml::Value::from(text).to_string().into(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_quotes_gets_some() {
        for (value, expected) in [
            ("5", "\"5\""),
            ("1.50", "\"1.50\""),
            ("true", "\"true\""),
            ("[1, 2]", "\"[1, 2]\""),
            ("", "\"\""),
            ("\"5\"", "\"5\""),
            ("'5'", "'5'"),
        ] {
            assert_eq!(quoted(value.into()), expected);
        }
    }
}
