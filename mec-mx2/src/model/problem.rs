//! Problem details (RFC 9457), with one entry per fault of the input.

use http::StatusCode;
use serde_json::{Map, Value, json};

/// One member of the input that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the body (RFC 6901), or the name of a query parameter.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// For a person.
    pub detail: String,
    /// What is wrong with the input, if that is why.
    pub faults: Vec<Fault>,
    /// When to come back, in seconds, if that may help.
    pub retry_after_s: Option<u32>,
}

/// Faults that are told of; there may be more.
const MAX_FAULTS: usize = 32;

impl Problem {
    /// A problem with the given status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            faults: Vec::new(),
            retry_after_s: None,
        }
    }

    /// The input is wrong: 400.
    pub fn invalid(mut faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [only] => format!("{}: {}", only.name, only.reason),
            _ => format!("{} members are not as they should be", faults.len()),
        };
        faults.truncate(MAX_FAULTS);
        Self {
            faults,
            ..Self::new(StatusCode::BAD_REQUEST, detail)
        }
    }

    /// The input as a whole is wrong: 400.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// There is nothing of that name: 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Not in the present state of the system: 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// Too much already: 503, with a hint when to come back.
    pub fn overloaded(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// As JSON, not wrapped.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!("about:blank"));
        if let Some(title) = self.status.canonical_reason() {
            object.insert("title".to_owned(), json!(title));
        }
        object.insert("status".to_owned(), json!(self.status.as_u16()));
        object.insert("detail".to_owned(), json!(self.detail));
        if !self.faults.is_empty() {
            let faults = self.faults.iter();
            let faults: Vec<_> = faults
                .map(|fault| json!({"name": fault.name, "reason": fault.reason}))
                .collect();
            object.insert("invalid-params".to_owned(), Value::Array(faults));
        }
        Value::Object(object)
    }
}
