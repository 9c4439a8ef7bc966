//! Text of peers as people get to see it: without control characters, and not for ever.

use std::borrow::Cow;

/// Bytes of a text that are shown.
const LONGEST: usize = 300;
/// Stands for what is left out.
const ELLIPSIS: char = '…';

/// `text` as a part of a line, whole: what a terminal would obey or not show is escaped. What is
/// escaped can be escaped again as it is.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    text.chars()
        .for_each(|character| push(&mut escaped, character));
    Cow::Owned(escaped)
}

/// As [`escaped`], for a terminal or a summary that is to stay short: a text that is too long is
/// cut.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST && is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(LONGEST);
    let mut cut_at = 0;
    for character in text.chars() {
        push(&mut shown, character);
        if shown.len() > LONGEST {
            shown.truncate(cut_at);
            shown.push(ELLIPSIS);
            break;
        }
        if shown.len() + ELLIPSIS.len_utf8() <= LONGEST {
            cut_at = shown.len();
        }
    }
    Cow::Owned(shown)
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn push(text: &mut String, character: char) {
    match character {
        // Escaping these would only make them harder to read.
        '\\' | '"' | '\'' => text.push(character),
        other => text.extend(other.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_shows_is_left_alone() {
        for text in ["", "a:1", "[::1]:6473", r#"'a' \ "b""#, "größer…"] {
            assert_eq!(shown(text), text);
            assert_eq!(escaped(text), text);
        }
        assert!(matches!(shown("127.0.0.1:10001"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped() {
        assert_eq!(shown("a\nb\r\t\x1b[31m"), r"a\nb\r\t\u{1b}[31m");
        assert_eq!(
            shown("\u{9b}1m\u{202e}\u{200b}"),
            r"\u{9b}1m\u{202e}\u{200b}"
        );
    }

    #[test]
    fn what_is_escaped_is_all_there() {
        let name = format!("{}\n\x1b[2K", "x".repeat(2 * LONGEST));
        let whole = name.replace("\n\x1b", r"\n\u{1b}");
        assert_eq!(escaped(&name), whole);
        assert_eq!(escaped(&whole), whole);
    }

    #[test]
    fn what_is_shown_is_bounded_and_can_be_shown_again() {
        let ends = ["", "x", "xy", "\n", "ä", "\u{1b}", "xyz\u{1b}"];
        for length in LONGEST - 12..LONGEST + 3 {
            for end in ends {
                let text = "x".repeat(length) + end;
                let once = shown(&text);
                assert!(once.len() <= LONGEST, "{}", once.len());
                assert_eq!(shown(&once), once);
            }
        }
    }
}
