//! Whether a text is JSON, found out in one go; `serde_json` has the last word where this look does
//! not suffice.

/// Arrays and objects within each other that are followed.
const MAX_DEPTH: u32 = 64;

/// What a text is that is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// There is space between its parts, or around it.
    pub(super) is_spaced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    /// A text, a number, …
    Scalar,
}

/// What `json` is, whose texts may have bytes that are no UTF-8. `None`: perhaps not JSON.
pub(super) fn look(json: &[u8]) -> Option<Shape> {
    let mut look = Look {
        json,
        at: 0,
        is_spaced: false,
    };
    let kind = match look.skip_space()? {
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        _ => Kind::Scalar,
    };
    look.value()?;
    let is_spaced = look.is_spaced;
    (look.at == json.len()).then_some(Shape { kind, is_spaced })
}

struct Look<'a> {
    json: &'a [u8],
    at: usize,
    is_spaced: bool,
}

/// Which of the arrays and objects around are objects: the innermost is the lowest bit.
#[derive(Default)]
struct Around {
    objects: u64,
    depth: u32,
}

impl Around {
    fn enter(&mut self, object: bool) -> Option<()> {
        self.objects = self.objects << 1 | u64::from(object);
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }

    fn leave(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

impl Look<'_> {
    /// A value and the space behind it.
    fn value(&mut self) -> Option<()> {
        let mut around = Around::default();
        loop {
            match self.skip_space()? {
                b'{' => {
                    self.at += 1;
                    around.enter(true)?;
                    if self.skip_space()? == b'}' {
                        self.at += 1;
                        around.leave();
                    } else {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    around.enter(false)?;
                    if self.skip_space()? == b']' {
                        self.at += 1;
                        around.leave();
                    } else {
                        continue;
                    }
                }
                b'"' => self.text()?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => self.word()?,
            }
            if !self.goes_on(&mut around)? {
                return Some(());
            }
        }
    }

    /// Behind a value: up to the next one, if there is one.
    fn goes_on(&mut self, around: &mut Around) -> Option<bool> {
        while around.depth > 0 {
            let byte = self.skip_space()?;
            self.at += 1;
            match (byte, around.is_object()) {
                (b',', true) => return self.key().map(|()| true),
                (b',', false) => return Some(true),
                (b'}', true) | (b']', false) => around.leave(),
                _ => return None,
            }
        }
        // There may be nothing behind it.
        self.skip_space();
        Some(false)
    }

    /// The next byte that is no space.
    fn skip_space(&mut self) -> Option<u8> {
        loop {
            match *self.json.get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => {
                    self.at += 1;
                    self.is_spaced = true;
                }
                byte => return Some(byte),
            }
        }
    }

    /// The name of a member, and the colon.
    fn key(&mut self) -> Option<()> {
        if self.skip_space()? != b'"' {
            return None;
        }
        self.text()?;
        let is_colon = self.skip_space()? == b':';
        self.at += 1;
        is_colon.then_some(())
    }

    fn text(&mut self) -> Option<()> {
        let mut at = self.at + 1;
        loop {
            at += plain(self.json.get(at..)?);
            match *self.json.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(());
                }
                b'\\' => at += escape(&self.json[at..])?,
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.json[self.at] == b'-' {
            self.at += 1;
        }
        if self.json.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.json.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.json.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.json.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// One or more.
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.json.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    fn word(&mut self) -> Option<()> {
        let words = [&b"true"[..], b"false", b"null"];
        let rest = &self.json[self.at..];
        let found = words.into_iter().find(|word| rest.starts_with(word))?;
        self.at += found.len();
        Some(())
    }
}

/// Bytes that end a text, begin an escape or cannot be in a text.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < b' ' as usize {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// How many bytes there are before a special one.
#[inline]
pub(super) fn plain(json: &[u8]) -> usize {
    const TOGETHER: usize = 16;
    let is_special = |byte: &u8| SPECIAL[usize::from(*byte)];
    // Most texts are short. In long ones several bytes are looked at together, without an end in
    // between.
    let (first, rest) = json.split_at(json.len().min(TOGETHER));
    if let Some(at) = first.iter().position(is_special) {
        return at;
    }
    let is_plain = |bytes: &&[u8; TOGETHER]| {
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        !bytes.iter().fold(false, |any, byte| any | special(*byte))
    };
    let (chunks, _) = rest.as_chunks::<TOGETHER>();
    let plain = TOGETHER * chunks.iter().take_while(is_plain).count();
    let rest = &rest[plain..];
    first.len() + plain + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// How long the escape is that `json` begins with.
fn escape(json: &[u8]) -> Option<usize> {
    match json.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let digits = json.get(2..6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(6)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
