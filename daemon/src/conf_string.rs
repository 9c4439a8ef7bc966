//! Conf strings: options of the form `type=random,alpha=1`, read against a declared schema.
//!
//! Programs of the C++ reference configure most things through strings of
//! `key=value` pairs. Here such a string is another way of writing one section of the
//! configuration file: [`ConfSchema::read`] turns it into a fragment of TOML, which
//! [`Layers`](crate::layers::Layers) merges key by key over the file. The grammar is the
//! reference's, with three differences: blanks around keys and values do not count,
//! numbers must be numbers to their last character, and unknown keys are errors.
//!
//! ```
//! use edge_daemon::conf_string::{ConfSchema, Key, Kind};
//!
//! static TABLE_CONF: ConfSchema = ConfSchema {
//!     option: "--table-conf",
//!     section: "table",
//!     kinds: &[
//!         Kind { name: "random", keys: &[] },
//!         Kind { name: "proportional-fairness", keys: &[Key::float("alpha"), Key::float("beta")] },
//!     ],
//!     common: &[Key::integer("seed")],
//! };
//!
//! let fragment = TABLE_CONF.read("type=proportional-fairness,alpha=2", None)?;
//! assert_eq!(fragment.table["alpha"].as_float(), Some(2.0));
//!
//! let error = TABLE_CONF.read("type=randon", None).unwrap_err();
//! assert!(error.to_string().contains("did you mean `random`?"));
//! # Ok::<(), edge_daemon::conf_string::ConfStringError>(())
//! ```

mod pairs;

use toml::{Table, Value};

use crate::nearest::advice;
pub use pairs::MalformedKind;

/// The key that selects the kind.
pub(crate) const TYPE: &str = "type";

/// What one option that takes a conf string accepts.
#[derive(Debug)]
pub struct ConfSchema {
    /// The option as the user writes it, for messages: `--table-conf`.
    pub option: &'static str,
    /// The section of the configuration that the string fills: `table`, `a.b` for a
    /// nested one, empty for the top level.
    pub section: &'static str,
    /// The values of `type`, each with the keys that it alone takes. Empty when the
    /// option has no `type`.
    pub kinds: &'static [Kind],
    /// The keys valid whatever the `type`.
    pub common: &'static [Key],
}

/// One value of `type` and its own keys.
#[derive(Debug)]
pub struct Kind {
    /// The value of `type`.
    pub name: &'static str,
    /// The keys of this kind, beyond the common ones.
    pub keys: &'static [Key],
}

/// What can be listened with for lambdas: the values of `type` of every `--server-conf`.
pub const LISTENS: &[Kind] = &[
    Kind {
        name: "grpc",
        keys: &[],
    },
    Kind {
        name: "quic",
        keys: &[Key::text("congestion")],
    },
    Kind {
        name: "both",
        keys: &[Key::text("congestion")],
    },
];

/// A key and the type of its value. The name is the same in the conf string and in TOML.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    name: &'static str,
    value: ValueType,
}

#[derive(Debug, Clone, Copy)]
enum ValueType {
    Text,
    Float,
    Integer,
    Boolean,
}

impl Key {
    /// A key whose value is taken as it is.
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            value: ValueType::Text,
        }
    }

    /// A key whose value is a finite number.
    pub const fn float(name: &'static str) -> Self {
        Self {
            name,
            value: ValueType::Float,
        }
    }

    /// A key whose value is a whole number of 64 bits, with a sign.
    pub const fn integer(name: &'static str) -> Self {
        Self {
            name,
            value: ValueType::Integer,
        }
    }

    /// A key whose value is true, yes or 1, or false, no or 0, in any case.
    pub const fn boolean(name: &'static str) -> Self {
        Self {
            name,
            value: ValueType::Boolean,
        }
    }
}

impl ValueType {
    fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Float => "a number",
            Self::Integer => "a whole number",
            Self::Boolean => "true, yes or 1, or false, no or 0",
        }
    }

    fn convert(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(Value::String(text.to_owned())),
            Self::Float => {
                let number: f64 = text.parse().ok()?;
                number.is_finite().then_some(Value::Float(number))
            }
            Self::Integer => text.parse().ok().map(Value::Integer),
            Self::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Some(Value::Boolean(true)),
                "false" | "no" | "0" => Some(Value::Boolean(false)),
                _ => None,
            },
        }
    }
}

/// What a conf string says: the keys of its section, and what deserves a warning.
#[derive(Debug, Default, PartialEq)]
pub struct Fragment {
    /// The keys of the schema's section, `type` included if it was given.
    pub table: Table,
    /// Oddities that do not prevent the string from being used: a repeated key, of which
    /// the first counts, or a key of another kind, which is ignored.
    pub warnings: Vec<String>,
}

/// A conf string that cannot be used: which option, the whole string, what and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {option} `{text}`: {problem} (at character {at})")]
pub struct ConfStringError {
    /// The option that was given the string.
    pub option: &'static str,
    /// The string.
    pub text: String,
    /// The character of the string, from 1, at which the faulty pair begins.
    pub at: usize,
    /// What is wrong.
    pub problem: ConfStringProblem,
}

/// What is wrong with a conf string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfStringProblem {
    /// The string does not follow the grammar.
    #[error(transparent)]
    Malformed(#[from] MalformedKind),
    /// A key that no kind of the option has.
    #[error("unknown key `{key}`: {advice}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest valid key and the list of all.
        advice: String,
    },
    /// A value of `type` that does not exist.
    #[error("unknown type `{name}`: {advice}")]
    UnknownType {
        /// The value of `type`.
        name: String,
        /// The nearest valid type and the list of all.
        advice: String,
    },
    /// A value that is not of the key's type.
    #[error("invalid value `{value}` for key `{key}`, expected {expected}")]
    InvalidValue {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What the value should have been.
        expected: &'static str,
    },
}

impl ConfSchema {
    /// Reads a conf string. `current` is the type that counts where the string names
    /// none: the one of the file or of the defaults.
    ///
    /// # Errors
    /// The string does not follow the grammar, has an unknown key or type, or a value
    /// that is not what its key takes.
    pub fn read(&self, text: &str, current: Option<&str>) -> Result<Fragment, ConfStringError> {
        let error = |at, problem| ConfStringError {
            option: self.option,
            text: text.to_owned(),
            at,
            problem,
        };
        let pairs = pairs::split(text).map_err(|e| error(e.at, e.problem.into()))?;
        let named = pairs.iter().find(|pair| pair.key == TYPE);
        let kind = named.map(|pair| pair.value).or(current);
        let mut seen = std::collections::HashSet::new();
        let mut fragment = Fragment::default();
        for pair in &pairs {
            let value = self
                .convert(pair.key, pair.value)
                .map_err(|problem| error(pair.at, problem))?;
            if !seen.insert(pair.key) {
                fragment.warnings.push(format!(
                    "{}: key `{}` is given more than once, `{}` is ignored",
                    self.option, pair.key, pair.value
                ));
            } else if let Some(kind) = kind
                && self.is_foreign(pair.key, kind)
            {
                fragment.warnings.push(format!(
                    "{}: key `{}` means nothing to type `{kind}` and is ignored",
                    self.option, pair.key
                ));
            } else {
                fragment.table.insert(pair.key.to_owned(), value);
            }
        }
        Ok(fragment)
    }

    /// Whether `key` belongs to kinds of this option, but not to `kind`.
    pub(crate) fn is_foreign(&self, key: &str, kind: &str) -> bool {
        let has = |keys: &[Key]| keys.iter().any(|k| k.name == key);
        self.kinds.iter().any(|k| k.name == kind)
            && !has(self.common)
            && self.kinds.iter().any(|k| k.name != kind && has(k.keys))
            && !self.kinds.iter().any(|k| k.name == kind && has(k.keys))
    }

    /// Whether all kinds have `key`.
    pub(crate) fn has_in_common(&self, key: &str) -> bool {
        self.common.iter().any(|k| k.name == key)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        let own = self.kinds.iter().flat_map(|kind| kind.keys);
        own.chain(self.common)
    }

    fn convert(&self, key: &str, value: &str) -> Result<Value, ConfStringProblem> {
        if key == TYPE && !self.kinds.is_empty() {
            let valid: Vec<_> = self.kinds.iter().map(|kind| kind.name).collect();
            return if valid.contains(&value) {
                Ok(Value::String(value.to_owned()))
            } else {
                Err(ConfStringProblem::UnknownType {
                    name: value.to_owned(),
                    advice: advice(value, &valid),
                })
            };
        }
        let Some(known) = self.keys().find(|k| k.name == key) else {
            let mut valid: Vec<_> = self.keys().map(|k| k.name).collect();
            valid.extend((!self.kinds.is_empty()).then_some(TYPE));
            valid.sort_unstable();
            valid.dedup();
            return Err(ConfStringProblem::UnknownKey {
                key: key.to_owned(),
                advice: advice(key, &valid),
            });
        };
        let invalid = || ConfStringProblem::InvalidValue {
            key: key.to_owned(),
            value: value.to_owned(),
            expected: known.value.expected(),
        };
        known.value.convert(value).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests;
