//! The messages of OpenWhisk's API that the adapter reads.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An action in a listing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Summary {
    /// With the package, if the action is in one.
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

/// What an action may use.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Limits {
    /// Milliseconds of one execution.
    pub(super) timeout: Option<u64>,
    /// Executions at the same time in one container.
    pub(super) concurrency: Option<u32>,
    /// Containers at the same time.
    pub(super) instances: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Annotation {
    key: String,
    #[serde(default)]
    value: serde_json::Value,
}

impl Summary {
    /// What runs it, as the annotation `exec` says.
    pub(super) fn kind(&self) -> &str {
        let exec = self.annotations.iter().find(|a| a.key == "exec");
        exec.and_then(|exec| exec.value.as_str())
            .unwrap_or("unknown")
    }
}

/// The record of an execution.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Activation {
    #[serde(default)]
    duration: u64,
    #[serde(default)]
    annotations: Vec<Annotation>,
    pub(super) response: Response,
}

#[derive(Debug, Deserialize)]
pub(super) struct Response {
    #[serde(default)]
    status: String,
    #[serde(rename = "statusCode")]
    status_code: Option<u8>,
    result: Option<Box<RawValue>>,
}

/// What became of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    ApplicationError,
    DeveloperError,
    InternalError,
}

impl Status {
    /// As OpenWhisk calls it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ApplicationError => "application error",
            Self::DeveloperError => "action developer error",
            Self::InternalError => "whisk internal error",
        }
    }
}

/// Where the time of an execution went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// The function itself.
    pub(super) service: Duration,
    /// Starting and initialising its container, if it was cold.
    pub(super) cold_start: Option<Duration>,
}

impl Activation {
    pub(super) fn status(&self) -> Option<Status> {
        use Status::{ApplicationError, DeveloperError, InternalError, Success};
        let named = [Success, ApplicationError, DeveloperError, InternalError];
        let by_name = named
            .into_iter()
            .find(|status| status.text() == self.response.status);
        by_name.or_else(|| named.get(usize::from(self.response.status_code?)).copied())
    }

    /// The result; an empty object if there is none.
    pub(super) fn result(self) -> Box<RawValue> {
        let nothing = || RawValue::from_string("{}".to_owned()).expect("it is JSON");
        self.response
            .result
            .filter(|result| result.get() != "null")
            .unwrap_or_else(nothing)
    }

    /// The duration covers initialisation and execution. An action that had to be initialised had
    /// waited for its container, too.
    pub(super) fn times(&self) -> Times {
        let millis = |key: &str| {
            let annotation = self.annotations.iter().find(|a| a.key == key)?;
            annotation.value.as_u64().map(Duration::from_millis)
        };
        let duration = Duration::from_millis(self.duration);
        let init = millis("initTime");
        let wait = millis("waitTime").unwrap_or_default();
        Times {
            service: duration.saturating_sub(init.unwrap_or_default()),
            cold_start: init.map(|init| init + wait),
        }
    }
}

/// The answer to a call that has not ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accepted {
    pub(super) activation_id: String,
}

/// An error that says that an activation had begun.
#[derive(Debug, Deserialize)]
pub(super) struct Begun {
    #[serde(rename = "activationId")]
    _activation_id: String,
}

/// Why a request was turned down.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub(super) error: serde_json::Value,
    /// Only in errors of the platform.
    pub(super) code: Option<serde_json::Value>,
}

impl ErrorBody {
    /// For a person.
    pub(super) fn text(&self) -> Option<String> {
        match &self.error {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activation(text: &str) -> Activation {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_cold_start_is_initialisation_and_the_wait_for_it() {
        let cold = activation(
            r#"{"duration": 120, "response": {"status": "success", "result": {"a": 1}},
                "annotations": [{"key": "waitTime", "value": 300}, {"key": "initTime", "value": 100},
                {"key": "limits", "value": {"timeout": 1}}]}"#,
        );
        let times = cold.times();
        assert_eq!(times.service, Duration::from_millis(20));
        assert_eq!(times.cold_start, Some(Duration::from_millis(400)));
        assert_eq!(cold.result().get(), r#"{"a": 1}"#);
        let warm = activation(
            r#"{"duration": 20, "response": {"statusCode": 1},
                "annotations": [{"key": "waitTime", "value": 3}]}"#,
        );
        assert_eq!(warm.times().cold_start, None);
        assert_eq!(warm.status(), Some(Status::ApplicationError));
        assert_eq!(warm.result().get(), "{}");
    }
}
