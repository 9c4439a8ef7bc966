//! The grammar of a conf string: `key=value[,key=value]*`, before keys mean anything.

/// One `key=value`, with the character (from 1) of the string at which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) at: usize,
}

/// A string that does not follow the grammar, and the character (from 1) where it fails.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) at: usize,
    pub(super) problem: MalformedKind,
}

/// What the grammar misses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedKind {
    /// Two commas in a row, or one at the beginning.
    #[error("nothing between two commas, expected `key=value`")]
    EmptyItem,
    /// An item that is only a word.
    #[error("`{0}` has no `=`, expected `key=value`")]
    NoEquals(String),
    /// `=value`.
    #[error("no key before `=`")]
    NoKey,
    /// `key=`.
    #[error("no value for key `{0}`")]
    NoValue(String),
    /// `key==value`.
    #[error("the value of key `{0}` begins with `=`")]
    ValueBeginsWithEquals(String),
}

/// Splits `text` into its pairs. Blanks around keys and values do not count; a blank
/// string has no pairs; one comma may end the string.
pub(super) fn split(text: &str) -> Result<Vec<Pair<'_>>, Malformed> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut pairs = Vec::new();
    let mut start = 0;
    let mut items = text.split(',').peekable();
    while let Some(item) = items.next() {
        let at = |byte: usize| text[..byte].chars().count() + 1;
        let begin = start + (item.len() - item.trim_start().len());
        let end = start + item.len();
        start = end + 1;
        let trimmed = item.trim();
        if trimmed.is_empty() {
            if items.peek().is_none() && !pairs.is_empty() {
                break; // the comma that may end the string
            }
            return Err(Malformed {
                at: at(end),
                problem: MalformedKind::EmptyItem,
            });
        }
        let malformed = |problem| Malformed {
            at: at(begin),
            problem,
        };
        let Some((key, value)) = trimmed.split_once('=') else {
            return Err(malformed(MalformedKind::NoEquals(trimmed.to_owned())));
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err(malformed(MalformedKind::NoKey));
        }
        if value.is_empty() {
            return Err(malformed(MalformedKind::NoValue(key.to_owned())));
        }
        if value.starts_with('=') {
            let problem = MalformedKind::ValueBeginsWithEquals(key.to_owned());
            return Err(malformed(problem));
        }
        pairs.push(Pair {
            key,
            value,
            at: at(begin),
        });
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_and_values(text: &str) -> Vec<(&str, &str)> {
        let pairs = split(text).unwrap();
        pairs.iter().map(|pair| (pair.key, pair.value)).collect()
    }

    #[test]
    fn the_strings_valid_for_the_reference_are_valid() {
        assert_eq!(keys_and_values(""), []);
        let expected = [
            ("k", "1"),
            ("j", "2"),
            ("mickey", "pluto"),
            ("k e y", "v a l u e"),
        ];
        let text = "k=1,j=2,mickey=pluto,k e y=v a l u e";
        assert_eq!(keys_and_values(text), expected);
        assert_eq!(keys_and_values(&format!("{text},")), expected);
    }

    #[test]
    fn the_strings_invalid_for_the_reference_are_invalid() {
        use MalformedKind as Kind;
        let key = || "key".to_owned();
        for (text, at, problem) in [
            ("key=", 1, Kind::NoValue(key())),
            ("=value", 1, Kind::NoKey),
            ("=", 1, Kind::NoKey),
            ("key=value,,", 11, Kind::EmptyItem),
            (",key=value", 1, Kind::EmptyItem),
            ("key==value", 1, Kind::ValueBeginsWithEquals(key())),
            ("key", 1, Kind::NoEquals(key())),
            (",", 1, Kind::EmptyItem),
        ] {
            assert_eq!(split(text), Err(Malformed { at, problem }), "{text:?}");
        }
    }

    #[test]
    fn a_value_may_contain_equals() {
        assert_eq!(
            keys_and_values("url=http://h/?a=b"),
            [("url", "http://h/?a=b")]
        );
    }

    #[test]
    fn blanks_around_keys_and_values_do_not_count() {
        let expected = [("type", "grpc"), ("persistence", "0.05")];
        assert_eq!(keys_and_values("type=grpc, persistence=0.05"), expected);
        assert_eq!(
            keys_and_values(" type = grpc ,\tpersistence = 0.05 , "),
            expected
        );
        assert_eq!(keys_and_values("  "), []);
    }

    #[test]
    fn positions_count_characters_not_bytes() {
        let malformed = split("clé=é, oops").unwrap_err();
        assert_eq!(malformed.at, 8);
    }

    #[test]
    fn blanks_do_not_hide_a_missing_value() {
        assert_eq!(
            split("key= ,j=2").unwrap_err().problem,
            MalformedKind::NoValue("key".to_owned())
        );
        assert_eq!(
            split("key= =v").unwrap_err().problem,
            MalformedKind::ValueBeginsWithEquals("key".to_owned())
        );
    }
}
