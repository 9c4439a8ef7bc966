//! Events that stay one line each and give no orders to a terminal, whatever text of others they
//! quote. What formats them escapes their messages, but not all of their fields.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

/// Beginnings of orders that are our own: colours, bold, dim, italic, and the end of them.
const OURS: [&str; 9] = [
    "[0m", "[1m", "[2m", "[3m", "[31m", "[32m", "[33m", "[34m", "[35m",
];

/// Writes each event, which it is given as a whole, as one line.
#[derive(Debug)]
pub(super) struct OneLine<W> {
    pub(super) writer: W,
    /// There are colours of ours in it.
    pub(super) colours: bool,
}

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for OneLine<M> {
    type Writer = OneLine<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine {
            writer: self.writer.make_writer(),
            colours: self.colours,
        }
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let inside = event.strip_suffix(b"\n").unwrap_or(event);
        if inside.iter().any(|byte| is_suspicious(*byte)) {
            let mut line = escaped(&String::from_utf8_lossy(inside), self.colours);
            line.push('\n');
            self.writer.write_all(line.as_bytes())?;
        } else {
            self.writer.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Whether it is, or may begin, a control character: those beyond ASCII begin with 0xc2.
fn is_suspicious(byte: u8) -> bool {
    byte.is_ascii_control() || byte == 0xc2
}

fn escaped(text: &str, colours: bool) -> String {
    let mut line = String::with_capacity(text.len() + 16);
    for (at, character) in text.char_indices() {
        let is_ours = || {
            let rest = &text[at + character.len_utf8()..];
            colours && character == '\u{1b}' && OURS.iter().any(|ours| rest.starts_with(ours))
        };
        if !character.is_control() || character == '\t' || is_ours() {
            line.push(character);
        } else {
            line.extend(character.escape_debug());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_and_other_orders_do_not() {
        let line = "\u{1b}[2mtime\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m größer\t\u{1b}[8m\u{1b}]0;x\u{7}\u{9b}2J\n";
        let written = |colours| {
            let mut written = Vec::new();
            let writer = &mut written;
            OneLine { writer, colours }
                .write_all(line.as_bytes())
                .unwrap();
            String::from_utf8(written).unwrap()
        };
        let end = "größer\t\\u{1b}[8m\\u{1b}]0;x\\u{7}\\u{9b}2J\n";
        let coloured = written(true);
        assert!(coloured.starts_with(&line[..20]), "{coloured:?}");
        assert!(coloured.ends_with(end), "{coloured:?}");
        let plain = written(false);
        assert!(
            !plain.contains('\u{1b}') && plain.ends_with(end),
            "{plain:?}"
        );
    }
}
