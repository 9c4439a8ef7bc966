//! What a key takes, in the words of who writes the file: serde speaks of types of Rust.

/// The end of serde's message about a value of the wrong kind, said again for the user.
///
/// `key` is the dotted key that has the value.
pub(super) fn plain(message: &str, key: &str) -> String {
    let Some((given, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let given = given
        .replace("invalid type: map", "invalid type: section")
        .replace("invalid type: sequence", "invalid type: list");
    format!("{given}, expected {}", kind(expected, key))
}

fn kind(expected: &str, key: &str) -> String {
    let whole = |least: &str, most: &dyn std::fmt::Display| {
        format!("a whole number from {least} to {most}")
    };
    match expected {
        "usize" | "u64" | "u128" => "a whole number, 0 or more".to_owned(),
        "u8" => whole("0", &u8::MAX),
        "u16" => whole("0", &u16::MAX),
        "u32" => whole("0", &u32::MAX),
        "isize" | "i64" | "i128" => "a whole number".to_owned(),
        "i8" => whole(&i8::MIN.to_string(), &i8::MAX),
        "i16" => whole(&i16::MIN.to_string(), &i16::MAX),
        "i32" => whole(&i32::MIN.to_string(), &i32::MAX),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "path string" => "a path, as a string".to_owned(),
        "a sequence" => "a list, `[…]`".to_owned(),
        other if other.starts_with("a nonzero ") => "a whole number, 1 or more".to_owned(),
        other if is_section(other) => {
            // That of the whole file has no name.
            let name = if key.is_empty() {
                String::new()
            } else {
                format!(", as in `[{key}]`")
            };
            format!("a section of keys{name}")
        }
        other => other.to_owned(),
    }
}

fn is_section(expected: &str) -> bool {
    expected == "a map"
        || [
            "struct ",
            "internally tagged enum ",
            "adjacently tagged enum ",
        ]
        .iter()
        .any(|kind| expected.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_rust_are_put_into_words() {
        for (expected, words) in [
            ("usize", "a whole number, 0 or more"),
            ("u16", "a whole number from 0 to 65535"),
            ("i8", "a whole number from -128 to 127"),
            ("a nonzero u32", "a whole number, 1 or more"),
            ("f64", "a number"),
            ("a boolean", "true or false"),
            ("a sequence", "a list, `[…]`"),
            ("struct LogConfig", "a section of keys, as in `[log]`"),
            (
                "internally tagged enum Policy",
                "a section of keys, as in `[log]`",
            ),
            // Ours already.
            (
                "a number of seconds or text like `250ms`",
                "a number of seconds or text like `250ms`",
            ),
        ] {
            let message = format!("invalid type: integer `3`, expected {expected}");
            let said = format!("invalid type: integer `3`, expected {words}");
            assert_eq!(plain(&message, "log"), said);
        }
    }

    #[test]
    fn what_was_given_is_put_into_words_too() {
        let said = |message| plain(message, "");
        assert_eq!(
            said("invalid type: map, expected a string"),
            "invalid type: section, expected a string"
        );
        assert_eq!(
            said("invalid type: sequence, expected struct Config"),
            "invalid type: list, expected a section of keys"
        );
        assert_eq!(said("missing field `type`"), "missing field `type`");
    }
}
