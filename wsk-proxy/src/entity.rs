//! What actions and packages have in common: annotations, parameters, limits.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A key and a value that say something about an activation, as they are written: nothing is copied.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Annotation<'a> {
    key: &'static str,
    value: AnnotationValue<'a>,
}

/// Says something about an activation.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum AnnotationValue<'a> {
    Text(&'a str),
    Number(u64),
    Flag(bool),
    Limits(Limits),
}

impl<'a> Annotation<'a> {
    pub(crate) fn text(key: &'static str, value: &'a str) -> Self {
        let value = AnnotationValue::Text(value);
        Self { key, value }
    }

    pub(crate) fn number(key: &'static str, value: impl Into<u64>) -> Self {
        let value = AnnotationValue::Number(value.into());
        Self { key, value }
    }

    pub(crate) fn flag(key: &'static str, value: bool) -> Self {
        let value = AnnotationValue::Flag(value);
        Self { key, value }
    }

    pub(crate) fn limits(key: &'static str, value: Limits) -> Self {
        let value = AnnotationValue::Limits(value);
        Self { key, value }
    }
}

/// A key and a value as clients send them, for annotations and parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    #[serde(default = "null")]
    pub(crate) value: Box<RawValue>,
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

impl KeyValue {
    pub(crate) fn text(key: &str, value: &str) -> Self {
        let value = serde_json::value::to_raw_value(value).expect("a text has a JSON form");
        let key = key.to_owned();
        Self { key, value }
    }

    pub(crate) fn flag(key: &str, value: bool) -> Self {
        let value = if value {
            RawValue::TRUE
        } else {
            RawValue::FALSE
        };
        Self {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }
}

/// The limits of an action in OpenWhisk's terms. Only the time is one here; the others are what
/// OpenWhisk says where nothing is said.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Limits {
    /// Milliseconds.
    timeout: u64,
    /// Megabytes.
    memory: u32,
    /// Megabytes.
    logs: u32,
    concurrency: u32,
}

impl Limits {
    pub(crate) fn of_actions(timeout_ms: u64) -> Self {
        Self {
            timeout: timeout_ms,
            memory: 256,
            logs: 10,
            concurrency: 1,
        }
    }
}
