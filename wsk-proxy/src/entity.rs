//! What actions and packages have in common: annotations, parameters, limits.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::Writer;

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

    pub(crate) fn write(self, out: &mut Writer) {
        out.raw("{\"timeout\":");
        out.number(self.timeout);
        out.raw(",\"memory\":");
        out.number(self.memory);
        out.raw(",\"logs\":");
        out.number(self.logs);
        out.raw(",\"concurrency\":");
        out.number(self.concurrency);
        out.raw("}");
    }
}
