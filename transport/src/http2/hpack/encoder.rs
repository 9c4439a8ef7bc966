//! From fields to header blocks: those that are the same in every block become a byte each.

use std::collections::VecDeque;

use super::integer;
use super::table::{OVERHEAD, STATIC};

/// The most that is remembered at the peer, in bytes: enough for all that is sent again and again.
const MOST_REMEMBERED: usize = 4096;

/// Name and value.
type Field = (Box<[u8]>, Box<[u8]>);

/// The encoder of one connection.
///
/// Only fields of a [`Template`] are remembered at the peer; all others leave as literals.
/// Strings are not compressed, which is quicker for both sides.
#[derive(Debug)]
pub(in crate::http2) struct Encoder {
    /// The newest first.
    entries: VecDeque<Field>,
    size: usize,
    max_size: usize,
    /// The peer has to be told of these sizes, the smallest since the last block and the last one.
    resized: Option<(usize, usize)>,
    /// Changes whenever fields get other numbers.
    epoch: u64,
}

/// Fields that many blocks begin with, and what they were encoded to last.
#[derive(Debug)]
pub(in crate::http2) struct Template {
    fields: Vec<Field>,
    /// The name of a field behind them whose value is different each time.
    last: Option<Box<[u8]>>,
    encoded: Vec<u8>,
    epoch: Option<u64>,
}

impl Template {
    pub(in crate::http2) fn new(fields: &[(&str, &str)]) -> Self {
        let owned = |text: &str| Box::from(text.as_bytes());
        Self {
            fields: fields.iter().map(|(n, v)| (owned(n), owned(v))).collect(),
            last: None,
            encoded: Vec::new(),
            epoch: None,
        }
    }

    /// With a field of this name behind the others, whose value is given for each block.
    pub(in crate::http2) fn ending_with(self, name: &str) -> Self {
        Self {
            last: Some(name.as_bytes().into()),
            ..self
        }
    }
}

impl Encoder {
    /// An encoder for a peer that has not said yet how much it remembers.
    pub(in crate::http2) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max_size: MOST_REMEMBERED,
            resized: None,
            epoch: 0,
        }
    }

    /// The peer remembers `limit` bytes at the most.
    pub(in crate::http2) fn set_limit(&mut self, limit: usize) {
        let size = limit.min(MOST_REMEMBERED);
        if size == self.max_size && self.resized.is_none() {
            return;
        }
        let smallest = self.resized.map_or(self.max_size, |(smallest, _)| smallest);
        self.resized = Some((smallest.min(size), size));
        self.max_size = size;
        self.evict(size);
        self.epoch += 1;
    }

    /// Begins a block with the fields of `template`, the last of which has this value if it is one
    /// whose value differs.
    pub(in crate::http2) fn begin(
        &mut self,
        out: &mut Vec<u8>,
        template: &mut Template,
        last_value: &[u8],
    ) {
        if let Some((smallest, last)) = self.resized.take() {
            if smallest < last {
                integer::put(out, 0x20, 5, smallest);
            }
            integer::put(out, 0x20, 5, last);
        }
        if template.epoch == Some(self.epoch) {
            out.extend_from_slice(&template.encoded);
            if template.last.is_some() {
                string(out, last_value);
            }
            return;
        }
        let (begin, epoch) = (out.len(), self.epoch);
        for (name, value) in &template.fields {
            self.remembered(out, name, value);
        }
        if let Some(name) = &template.last {
            if self.number_of_name(name).is_some() {
                self.begin_literal(out, 0, 4, name);
            } else {
                // So that the name has a number from now on.
                self.remembered(out, name, last_value);
                return;
            }
        }
        // If none had to be told, they have their numbers, and keep them for this epoch.
        template.epoch = (epoch == self.epoch).then_some(epoch);
        template.encoded.clear();
        template.encoded.extend_from_slice(&out[begin..]);
        if template.last.is_some() {
            string(out, last_value);
        }
    }

    /// Adds a field that may be different the next time.
    pub(in crate::http2) fn literal(&self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        self.begin_literal(out, 0, 4, name);
        string(out, value);
    }

    /// A field that is worth its place in the peer's table.
    fn remembered(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        if let Some(number) = self.number_of(name, value) {
            integer::put(out, 0x80, 7, number);
            return;
        }
        let size = name.len() + value.len() + OVERHEAD;
        if self.size + size > self.max_size {
            return self.literal(out, name, value);
        }
        self.begin_literal(out, 0x40, 6, name);
        string(out, value);
        self.entries.push_front((name.into(), value.into()));
        self.size += size;
        self.epoch += 1;
    }

    fn begin_literal(&self, out: &mut Vec<u8>, pattern: u8, prefix: u32, name: &[u8]) {
        match self.number_of_name(name) {
            Some(number) => integer::put(out, pattern, prefix, number),
            None => {
                out.push(pattern);
                string(out, name);
            }
        }
    }

    fn number_of(&self, name: &[u8], value: &[u8]) -> Option<usize> {
        let is_it = |(n, v): &(Box<[u8]>, Box<[u8]>)| &**n == name && &**v == value;
        let fixed = || {
            STATIC
                .iter()
                .position(|(n, v)| n.as_bytes() == name && v.as_bytes() == value)
        };
        let told = self.entries.iter().position(is_it);
        let told = told.map(|index| index + STATIC.len());
        told.or_else(fixed).map(|index| index + 1)
    }

    fn number_of_name(&self, name: &[u8]) -> Option<usize> {
        let told = self.entries.iter().position(|(n, _)| &**n == name);
        let told = told.map(|index| index + STATIC.len());
        let fixed = || STATIC.iter().position(|(n, _)| n.as_bytes() == name);
        told.or_else(fixed).map(|index| index + 1)
    }

    fn evict(&mut self, most: usize) {
        while self.size > most {
            match self.entries.pop_back() {
                Some((name, value)) => self.size -= name.len() + value.len() + OVERHEAD,
                None => self.size = 0,
            }
        }
    }
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    integer::put(out, 0, 7, text.len());
    out.extend_from_slice(text);
}
