//! One address space for the texts of all layers, so that a place in it tells its layer.

use std::cell::OnceCell;

use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

use super::error::{ConfigError, Origin};

/// The texts that make up the configuration, each at its own range of addresses.
pub(super) struct Sources<'i> {
    texts: &'i [OnceCell<String>],
    origins: Vec<(usize, Origin)>,
    end: usize,
}

impl<'i> Sources<'i> {
    /// `texts` holds one empty cell per text to come; what is parsed borrows from it.
    pub(super) fn new(texts: &'i [OnceCell<String>]) -> Self {
        Self {
            texts,
            origins: Vec::with_capacity(texts.len()),
            end: 0,
        }
    }

    /// Parses the next text. Spans in the result are addresses.
    pub(super) fn parse(
        &mut self,
        origin: Origin,
        text: String,
    ) -> Result<Spanned<DeTable<'i>>, ConfigError> {
        let base = self.end;
        self.end += text.len() + 1;
        let text = self.texts[self.origins.len()].get_or_init(|| text);
        self.origins.push((base, origin));
        match DeTable::parse(text) {
            Ok(table) => Ok(shift(base, table, shift_table)),
            Err(error) => Err(ConfigError::Syntax {
                origin: self.origin(base + error.span().map_or(0, |span| span.start)),
                problem: error.message().to_owned(),
            }),
        }
    }

    /// Who wrote what is at this address.
    pub(super) fn origin(&self, address: usize) -> Origin {
        let after = self.origins.partition_point(|(base, _)| *base <= address);
        let index = after.saturating_sub(1);
        let (base, origin) = &self.origins[index];
        match origin {
            Origin::File { path, .. } => {
                let text = self.texts[index].get().map_or("", String::as_str);
                let before = text.bytes().take(address - base);
                Origin::File {
                    path: path.clone(),
                    line: before.filter(|byte| *byte == b'\n').count() + 1,
                }
            }
            other => other.clone(),
        }
    }
}

/// A line of TOML that sets the dotted `key`.
pub(super) fn assignment(key: &str, value: &str) -> String {
    let quoted: Vec<_> = key
        .split('.')
        .map(|part| Value::String(part.to_owned()).to_string())
        .collect();
    format!("{} = {value}\n", quoted.join("."))
}

/// A line of TOML that sets `key` in the dotted `section`, which may be empty.
pub(super) fn assignment_in(section: &str, key: &str, value: &str) -> String {
    if section.is_empty() {
        assignment(key, value)
    } else {
        assignment(&format!("{section}.{key}"), value)
    }
}

fn shift<T>(base: usize, spanned: Spanned<T>, inside: impl FnOnce(usize, T) -> T) -> Spanned<T> {
    let span = spanned.span();
    let value = inside(base, spanned.into_inner());
    Spanned::new(base + span.start..base + span.end, value)
}

fn shift_table(base: usize, table: DeTable<'_>) -> DeTable<'_> {
    let pair = |(key, value)| (shift(base, key, |_, k| k), shift(base, value, shift_value));
    table.into_iter().map(pair).collect()
}

fn shift_value(base: usize, value: DeValue<'_>) -> DeValue<'_> {
    match value {
        DeValue::Table(table) => DeValue::Table(shift_table(base, table)),
        DeValue::Array(array) => {
            let items = array.into_iter();
            DeValue::Array(items.map(|item| shift(base, item, shift_value)).collect())
        }
        scalar => scalar,
    }
}
