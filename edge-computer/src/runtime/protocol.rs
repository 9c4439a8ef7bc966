//! The protocol of runtimes: POST /init with the code, POST /run with parameters, and what the
//! answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::function::Function;
use crate::params::{failure, is_array, is_object};

/// How long a connection to a runtime may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Identity and parameters of one execution.
#[derive(Debug)]
pub struct Activation {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Identity of the request that it belongs to.
    pub transaction_id: String,
    /// Namespace on whose behalf.
    pub namespace: String,
    /// Version of the function.
    pub version: String,
    /// Where the function finds the platform that executes it; empty if nowhere.
    pub api_host: String,
    /// A JSON object.
    pub params: Box<RawValue>,
}

/// What became of an execution.
#[derive(Debug)]
pub struct Activated {
    /// Whose doing it was.
    pub status: Status,
    /// What was returned, or an object with the member `error`.
    pub result: Box<RawValue>,
    /// What was printed, each line with its time and stream.
    pub logs: Vec<String>,
    /// How long it was waited for a worker and a container.
    pub wait: Duration,
    /// How long the container took to start, if it was not there.
    pub start: Option<Duration>,
    /// How long the function took to be initialised, if it was not.
    pub init: Option<Duration>,
    /// How long it executed.
    pub run: Duration,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
}

/// The outcomes of an execution that OpenWhisk knows, but for faults of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has returned.
    Success,
    /// It says that it has failed.
    ApplicationError,
    /// It cannot be initialised, crashed, took too long, or returned what it may not.
    DeveloperError,
}

/// What a runtime has answered, or how it failed to.
#[derive(Debug)]
pub(super) enum Answer {
    /// With this status and text.
    Said(StatusCode, String),
    /// With this status, and more than so many bytes.
    TooLong(StatusCode, usize),
    /// Not in time.
    Late,
    /// It was never reached.
    Unreachable(String),
    /// The connection broke.
    Broken(String),
}

/// Calls runtimes.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
}

#[derive(Serialize)]
struct Init<'a> {
    value: InitValue<'a>,
}

#[derive(Serialize)]
struct InitValue<'a> {
    name: &'a str,
    main: &'a str,
    code: &'a str,
    binary: bool,
    env: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Run<'a> {
    value: &'a RawValue,
    namespace: &'a str,
    action_name: &'a str,
    action_version: &'a str,
    api_host: &'a str,
    activation_id: &'a str,
    transaction_id: &'a str,
    deadline: String,
}

impl Client {
    pub(super) fn new() -> reqwest::Result<Self> {
        // No proxy: runtimes are where they are said to be.
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http })
    }

    /// Hands `function` over to the runtime at `url`, for the sake of `activation`.
    pub(super) async fn init(
        &self,
        url: &str,
        secret: Option<&str>,
        function: &Function,
        activation: &Activation,
        deadline_ms: u128,
    ) -> Answer {
        let own = [
            ("__OW_API_HOST", activation.api_host.clone()),
            ("__OW_NAMESPACE", activation.namespace.clone()),
            ("__OW_ACTION_NAME", function.name.clone()),
            ("__OW_ACTION_VERSION", activation.version.clone()),
            ("__OW_ACTIVATION_ID", activation.id.clone()),
            ("__OW_DEADLINE", deadline_ms.to_string()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let env = function.env.clone().into_iter().chain(own).collect();
        let body = Init {
            value: InitValue {
                name: &function.name,
                main: &function.main,
                code: &function.code.text,
                binary: function.code.binary,
                env,
            },
        };
        self.post(url, "/init", secret, &body, function).await
    }

    /// Has `function` executed by the runtime at `url`.
    pub(super) async fn run(
        &self,
        url: &str,
        secret: Option<&str>,
        function: &Function,
        activation: &Activation,
        deadline_ms: u128,
    ) -> Answer {
        let body = Run {
            value: &activation.params,
            namespace: &activation.namespace,
            action_name: &function.name,
            action_version: &activation.version,
            api_host: &activation.api_host,
            activation_id: &activation.id,
            transaction_id: &activation.transaction_id,
            deadline: deadline_ms.to_string(),
        };
        self.post(url, "/run", secret, &body, function).await
    }

    /// Whether something answers at `url`, whatever it says.
    pub(super) async fn answers(&self, url: &str) -> bool {
        let asked = self.http.get(url).timeout(CONNECT_WITHIN).send();
        asked.await.is_ok()
    }

    async fn post(
        &self,
        url: &str,
        path: &str,
        secret: Option<&str>,
        body: &impl Serialize,
        function: &Function,
    ) -> Answer {
        let body = serde_json::to_string(body).expect("keys are texts");
        let mut request = self.http.post(format!("{url}{path}"));
        if let Some(secret) = secret {
            request = request.bearer_auth(secret);
        }
        let asked = request
            .header(http::header::CONTENT_TYPE, "application/json")
            .timeout(function.limits.timeout)
            .body(body)
            .send();
        let mut response = match asked.await {
            Ok(response) => response,
            Err(error) => return failed(error),
        };
        let status = response.status();
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return failed(error),
            }
            if bytes.len() > function.limits.result_bytes {
                return Answer::TooLong(status, function.limits.result_bytes);
            }
        }
        Answer::Said(status, String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn failed(error: reqwest::Error) -> Answer {
    if error.is_connect() {
        return Answer::Unreachable(explain(&error.without_url()));
    }
    if error.is_timeout() {
        return Answer::Late;
    }
    Answer::Broken(explain(&error.without_url()))
}

/// An error and what it comes from.
pub(crate) fn explain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", explain(source)),
        None => error.to_string(),
    }
}

/// Reads the answer to /run, if there was one that may be an end of the execution.
pub(super) fn read(status: StatusCode, text: &str) -> (Status, Box<RawValue>) {
    let Ok(result) = serde_json::from_str::<Box<RawValue>>(text) else {
        let shown: String = text.chars().take(200).collect();
        let text = format!("The action did not produce a valid JSON response: {shown}");
        return (Status::DeveloperError, error(&text));
    };
    let said = failure(&result);
    if !status.is_success() {
        let result = match said {
            Some(_) => result,
            None => error("The action did not produce a valid response and exited unexpectedly."),
        };
        return (Status::DeveloperError, result);
    }
    if is_object(result.get()) {
        let failed = said.is_some();
        let status = if failed {
            Status::ApplicationError
        } else {
            Status::Success
        };
        return (status, result);
    }
    if is_array(result.get()) {
        return (Status::Success, result);
    }
    let text = "The action did not return a dictionary or array.";
    (Status::DeveloperError, error(text))
}

/// The result of an execution that has none of its own.
pub(super) fn error(text: &str) -> Box<RawValue> {
    let json = serde_json::json!({ "error": text }).to_string();
    RawValue::from_string(json).expect("it was made as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_they_mean_to_openwhisk() {
        let meaning = |status, text: &str| read(status, text).0;
        let (ok, bad) = (StatusCode::OK, StatusCode::BAD_GATEWAY);
        for good in ["{}", "[]", r#" {"a":{"error":1}}"#, r#"[{"error":1}]"#] {
            assert_eq!(meaning(ok, good), Status::Success, "{good}");
        }
        assert_eq!(meaning(ok, r#"{"error":null}"#), Status::ApplicationError);
        for wrong in ["", "null", "\"text\"", "7", "<html>", "{\"a\":"] {
            assert_eq!(meaning(ok, wrong), Status::DeveloperError, "{wrong}");
        }
        let (status, result) = read(bad, r#"{"error":"no"}"#);
        assert_eq!(
            (status, result.get()),
            (Status::DeveloperError, r#"{"error":"no"}"#)
        );
        assert!(read(bad, "{}").1.get().contains("exited unexpectedly"));
    }
}
