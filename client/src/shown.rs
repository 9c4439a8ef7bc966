//! Text of peers as people get to see it: without control characters, and not for ever.

use std::borrow::Cow;

/// Bytes of a text that are shown.
const LONGEST: usize = 300;
/// Stands for what is left out.
const ELLIPSIS: char = '…';

/// `text` for a terminal, a line or a summary. What a terminal would obey or not show is
/// escaped, and a text that is too long is cut. What is shown can be shown again as it is.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
    if text.len() <= LONGEST && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(LONGEST);
    let mut cut_at = 0;
    for character in text.chars() {
        match character {
            // Escaping these would only make them harder to read.
            '\\' | '"' | '\'' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_shows_is_left_alone() {
        for text in ["", "a:1", "[::1]:6473", r#"'a' \ "b""#, "größer…"] {
            assert_eq!(shown(text), text);
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
