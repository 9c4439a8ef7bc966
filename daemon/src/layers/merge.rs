//! Merging layers key by key, and finding in the result what an error is about.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue, Error},
};

use super::words;
use crate::{
    conf_string::{ConfSchema, TYPE},
    nearest::advice,
};

/// The layers merged so far.
pub(super) struct Merge<'i> {
    table: Spanned<DeTable<'i>>,
    schemas: &'i [&'static ConfSchema],
    /// Addresses below this one are those of the defaults.
    end_of_defaults: usize,
}

impl<'i> Merge<'i> {
    pub(super) fn new(schemas: &'i [&'static ConfSchema], end_of_defaults: usize) -> Self {
        Self {
            table: Spanned::new(0..0, DeTable::new()),
            schemas,
            end_of_defaults,
        }
    }

    /// Puts a layer over those so far.
    pub(super) fn add(&mut self, upper: Spanned<DeTable<'i>>) {
        let upper = upper.into_inner();
        let lower = self.table.get_mut();
        // `self.table` is borrowed, so the two other fields go by value.
        let rules = Rules {
            schemas: self.schemas,
            end_of_defaults: self.end_of_defaults,
        };
        rules.merge(lower, upper, "");
    }

    /// The text under `key` of the dotted `section`, empty for the top level.
    pub(super) fn text_at(&self, section: &str, key: &str) -> Option<&str> {
        let mut table = self.table.get_ref();
        for part in section.split('.').filter(|part| !part.is_empty()) {
            table = table.get(part)?.get_ref().as_table()?;
        }
        table.get(key)?.get_ref().as_str()
    }

    pub(super) fn finish(self) -> Spanned<DeTable<'i>> {
        self.table
    }
}

#[derive(Clone, Copy)]
struct Rules<'a> {
    schemas: &'a [&'static ConfSchema],
    end_of_defaults: usize,
}

impl Rules<'_> {
    fn merge<'i>(self, lower: &mut DeTable<'i>, upper: DeTable<'i>, section: &str) {
        self.drop_superseded(lower, &upper, section);
        for (key, value) in upper {
            let path = join(section, key.get_ref());
            if let (Some(below), DeValue::Table(_)) =
                (lower.get_mut(key.get_ref().as_ref()), value.get_ref())
                && let DeValue::Table(into) = below.get_mut()
            {
                let span = value.span();
                let mut into = std::mem::take(into);
                if let DeValue::Table(table) = value.into_inner() {
                    self.merge(&mut into, table, &path);
                }
                *below = Spanned::new(span, DeValue::Table(into));
            } else {
                // An entry keeps the key of its first insertion, and with it the address.
                lower.remove(key.get_ref().as_ref());
                lower.insert(key, value);
            }
        }
    }

    /// When `upper` changes the `type` of the section, removes what belongs to the old one: keys that
    /// the new one has not, and defaults, even of keys that both have.
    fn drop_superseded(self, lower: &mut DeTable<'_>, upper: &DeTable<'_>, section: &str) {
        let of = |table: &DeTable<'_>| Some(table.get(TYPE)?.get_ref().as_str()?.to_owned());
        let (Some(old), Some(new)) = (of(lower), of(upper)) else {
            return;
        };
        if old == new {
            return;
        }
        let schema = self.schemas.iter().find(|schema| schema.section == section);
        let counts = |(key, value): &(Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
            let key = key.get_ref();
            let foreign = schema.is_some_and(|schema| schema.is_foreign(key, &new));
            let common = schema.is_some_and(|schema| schema.has_in_common(key));
            let default = !section.is_empty() && value.span().start < self.end_of_defaults;
            !foreign && (common || !default)
        };
        *lower = std::mem::take(lower).into_iter().filter(counts).collect();
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

/// One key of the merged tables, at any depth.
struct Entry<'t, 'i> {
    path: String,
    key: Range<usize>,
    value: &'t Spanned<DeValue<'i>>,
}

/// All keys, a table before what is in it.
fn entries<'t, 'i>(table: &'t Spanned<DeTable<'i>>) -> Vec<Entry<'t, 'i>> {
    fn collect<'t, 'i>(table: &'t DeTable<'i>, section: &str, into: &mut Vec<Entry<'t, 'i>>) {
        for (key, value) in table {
            let path = join(section, key.get_ref());
            let key = key.span();
            into.push(Entry {
                path: path.clone(),
                key,
                value,
            });
            if let DeValue::Table(inner) = value.get_ref() {
                collect(inner, &path, into);
            }
        }
    }
    let mut found = Vec::new();
    collect(table.get_ref(), "", &mut found);
    found
}

/// All keys whose values are not tables: dotted key and address.
pub(super) fn leaves(table: &Spanned<DeTable<'_>>) -> impl Iterator<Item = (String, usize)> {
    entries(table)
        .into_iter()
        .filter(|entry| entry.value.get_ref().as_table().is_none())
        .map(|entry| (entry.path, entry.key.start))
}

/// Makes what stands at the address, if it is no text and no table, this text. Returns whether it did.
pub(super) fn make_text(table: &mut Spanned<DeTable<'_>>, at: usize, text: &str) -> bool {
    fn within(table: &mut DeTable<'_>, at: usize, text: &str) -> bool {
        table.iter_mut().any(|(_, value)| {
            let is_there = value.span().contains(&at);
            match value.get_mut() {
                DeValue::Table(inner) => within(inner, at, text),
                DeValue::String(_) => false,
                other if is_there => {
                    *other = DeValue::String(text.to_owned().into());
                    true
                }
                _ => false,
            }
        })
    }
    within(table.get_mut(), at, text)
}

/// What serde's error means to the user.
pub(super) struct Explanation {
    /// The problem and what would be right.
    pub(super) problem: String,
    /// The dotted key that has it; empty for the whole.
    pub(super) key: String,
    /// The address of what is wrong, if the error says.
    pub(super) at: Option<usize>,
    /// Whether a text would have been right.
    pub(super) wants_text: bool,
}

/// Puts the error that deserialising `table` ended with into our words.
pub(super) fn explain(table: &Spanned<DeTable<'_>>, error: &Error) -> Explanation {
    let message = error.message();
    let mut key = error
        .span()
        .map_or_else(String::new, |at| key_at(table, &at));
    let mut at = error.span().map(|span| span.start);
    let problem = if let Some((name, mut valid)) = unknown("field", message) {
        // Enums tagged by `type` report the section, not the key in it.
        let in_section = join(&key, name);
        if let Some(entry) = entries(table)
            .into_iter()
            .find(|entry| entry.path == in_section)
        {
            // Their tag is a valid key that serde does not list.
            let section = key.as_str();
            if entries(table)
                .iter()
                .any(|entry| entry.path == join(section, TYPE))
            {
                valid.push(TYPE);
            }
            (key, at) = (entry.path, Some(entry.key.start));
        }
        format!("unknown key: {}", advice(name, &valid))
    } else if let Some((name, valid)) = unknown("variant", message) {
        format!("unknown value `{name}`: {}", advice(name, &valid))
    } else {
        words::plain(&message.trim_end().replace('\n', " "), &key)
    };
    Explanation {
        problem,
        key,
        at,
        wants_text: message.contains("expected a string")
            || message.contains("expected path string"),
    }
}

/// The innermost key whose own span or whose value's span contains `at`.
fn key_at(table: &Spanned<DeTable<'_>>, at: &Range<usize>) -> String {
    let holds = |span: &Range<usize>| span.start <= at.start && at.end <= span.end;
    entries(table)
        .into_iter()
        .filter_map(|entry| {
            let spans = [entry.key, entry.value.span()].into_iter().filter(holds);
            Some((spans.map(|span| span.len()).min()?, entry.path))
        })
        // Of equals the last: what is in a table comes after the table.
        .min_by(|(one, _), (other, _)| one.cmp(other).then(std::cmp::Ordering::Greater))
        .map_or_else(String::new, |(_, path)| path)
}

/// Takes apart serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown<'m>(what: &str, message: &'m str) -> Option<(&'m str, Vec<&'m str>)> {
    let rest = message.strip_prefix("unknown ")?.strip_prefix(what)?;
    let rest = rest.strip_prefix(" `")?;
    let (name, expected) = rest.split_once("`, ")?;
    Some((name, expected.split('`').skip(1).step_by(2).collect()))
}
