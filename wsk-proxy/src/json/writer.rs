//! JSON as it is put together piece by piece, for what is written too often to be described first.

/// A JSON text under construction. Who writes sees to it that the pieces fit.
#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) {
        // Without an end before that of the text, several bytes are looked at together.
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if text.bytes().fold(false, |any, byte| any | special(byte)) {
            serde_json::to_writer(&mut self.0, text).expect("a text has a JSON form");
        } else {
            self.plain(text);
        }
    }

    /// A text of which is known that it has no characters that must be escaped.
    pub(crate) fn plain(&mut self, text: &str) {
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    pub(crate) fn number(&mut self, number: impl Into<u64>) {
        serde_json::to_writer(&mut self.0, &number.into()).expect("a number has a JSON form");
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.raw(if flag { "true" } else { "false" });
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn into_string(self) -> String {
        String::from_utf8(self.0).expect("it is put together of texts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_by_serde() {
        for text in [
            "",
            "plain",
            "ü \u{1F600}",
            "\"",
            "a\\b",
            "line\n",
            "\u{1}",
            "\u{7f}/",
        ] {
            let mut out = Writer::with_capacity(0);
            out.text(text);
            assert_eq!(out.into_string(), serde_json::to_string(text).unwrap());
        }
    }
}
