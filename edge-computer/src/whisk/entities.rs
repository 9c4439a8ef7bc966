//! Actions and packages: what is stored of them, and which ones are taken.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::activations::millis_now;
use super::reply::Refusal;
use crate::openwhisk::is_valid;
use crate::runtime::{Code, Function, Kind, Limits as Bounds};

/// Longest code, in bytes.
const MAX_CODE: usize = 48 << 20;
/// Most actions of a sequence.
const MAX_COMPONENTS: usize = 50;
/// What our runtime for JavaScript is called.
const NODE_KINDS: [&str; 3] = ["nodejs:default", "nodejs:18", "nodejs:20"];
/// Containers of one action at the same time.
const MAX_CONTAINERS: u32 = 8;

/// What a namespace has.
#[derive(Debug, Default)]
pub(super) struct Entities {
    /// By package, empty if none, and name.
    pub(super) actions: BTreeMap<(String, String), Action>,
    pub(super) packages: BTreeMap<String, Package>,
}

/// An action.
#[derive(Debug, Clone)]
pub(super) struct Action {
    pub(super) namespace: String,
    pub(super) package: String,
    pub(super) name: String,
    pub(super) exec: Exec,
    pub(super) annotations: Vec<KeyValue>,
    pub(super) parameters: Vec<KeyValue>,
    pub(super) limits: Limits,
    patch: u32,
    pub(super) updated: u64,
}

/// A package.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) publish: bool,
    pub(super) annotations: Vec<KeyValue>,
    pub(super) parameters: Vec<KeyValue>,
    pub(super) patch: u32,
    pub(super) updated: u64,
}

/// A parameter or an annotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeyValue {
    pub(super) key: String,
    pub(super) value: Value,
}

/// What an action consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Exec {
    pub(super) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    main: Option<String>,
    #[serde(default)]
    binary: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) components: Vec<String>,
}

/// What an action may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    timeout: u64,
    memory: u32,
    logs: usize,
    concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: 60_000,
            memory: 256,
            logs: 10,
            concurrency: 1,
        }
    }
}

/// The body of a request to create or change an action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ActionPut {
    exec: Option<Exec>,
    annotations: Option<Vec<KeyValue>>,
    parameters: Option<Vec<KeyValue>>,
    limits: Option<Limits>,
}

/// The body of a request to create or change a package.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PackagePut {
    pub(super) annotations: Option<Vec<KeyValue>>,
    pub(super) parameters: Option<Vec<KeyValue>>,
    pub(super) publish: Option<bool>,
    pub(super) binding: Option<Value>,
}

impl ActionPut {
    /// The actions that it wants to be a sequence of; none if it is about anything else.
    pub(super) fn components(&self) -> &[String] {
        let sequence = self.exec.as_ref().filter(|exec| exec.is_sequence());
        sequence.map_or(&[], |exec| &exec.components)
    }

    /// The action that it makes, of nothing or of the one that was `before`.
    pub(super) fn apply(
        self,
        (namespace, package, name): (&str, &str, &str),
        before: Option<&Action>,
    ) -> Result<Action, Refusal> {
        for part in [package, name] {
            if !part.is_empty() && !is_valid(part) {
                return Err(Refusal::bad(format!("'{part}' is no name of an entity.")));
            }
        }
        let exec = self
            .exec
            .or_else(|| before.map(|action| action.exec.clone()));
        let exec = exec.ok_or_else(|| Refusal::bad("exec undefined"))?;
        exec.check()?;
        let limits = self
            .limits
            .or_else(|| before.map(|action| action.limits.clone()));
        let limits = limits.unwrap_or_default();
        limits.check()?;
        let kept = |own: Option<Vec<KeyValue>>, before: Option<&Vec<KeyValue>>| {
            own.or_else(|| before.cloned()).unwrap_or_default()
        };
        let mut annotations = kept(self.annotations, before.map(|action| &action.annotations));
        annotations.retain(|annotation| annotation.key != "exec");
        if !annotations
            .iter()
            .any(|annotation| annotation.key == "provide-api-key")
        {
            annotations.push(KeyValue::new("provide-api-key", false));
        }
        annotations.push(KeyValue::new("exec", exec.kind.clone()));
        Ok(Action {
            namespace: namespace.to_owned(),
            package: package.to_owned(),
            name: name.to_owned(),
            parameters: kept(self.parameters, before.map(|action| &action.parameters)),
            patch: before.map_or(1, |action| action.patch + 1),
            updated: millis_now(),
            exec,
            annotations,
            limits,
        })
    }
}

impl KeyValue {
    pub(super) fn new(key: &str, value: impl Into<Value>) -> Self {
        Self {
            key: key.to_owned(),
            value: value.into(),
        }
    }
}

impl Exec {
    pub(super) fn is_sequence(&self) -> bool {
        self.kind == "sequence"
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.is_sequence() {
            if self.components.is_empty() {
                return Err(Refusal::bad("components must be defined for sequence kind"));
            }
            if self.components.len() > MAX_COMPONENTS {
                return Err(Refusal::bad("Too many actions in the sequence."));
            }
            return Ok(());
        }
        if !NODE_KINDS.contains(&self.kind.as_str()) {
            let kind = &self.kind;
            let text = format!("The specified runtime '{kind}' is not supported by this platform.");
            return Err(Refusal::bad(text));
        }
        let code = self.code.as_deref().unwrap_or_default();
        if code.is_empty() {
            return Err(Refusal::bad("'code' must be a string defined in 'exec'"));
        }
        if code.len() > MAX_CODE {
            let text = format!(
                "Request larger than allowed: {} > {MAX_CODE} bytes.",
                code.len()
            );
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Ok(())
    }

    /// Archives are in base64, which begins so.
    fn is_archive(&self) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| code.starts_with("UEsDB"))
    }
}

impl Limits {
    fn check(&self) -> Result<(), Refusal> {
        let check = |holds: bool, text: &str| holds.then_some(()).ok_or_else(|| Refusal::bad(text));
        let timeout = (100..=300_000).contains(&self.timeout);
        check(timeout, "timeout must be from 100 to 300000 milliseconds")?;
        let memory = (128..=512).contains(&self.memory);
        check(memory, "memory must be from 128 to 512 MB")?;
        check(self.logs <= 10, "logs must be from 0 to 10 MB")?;
        check(self.concurrency == 1, "concurrency must be 1")
    }
}

impl Action {
    pub(super) fn version(&self) -> String {
        format!("0.0.{}", self.patch)
    }

    /// `guest` or `guest/package`.
    pub(super) fn path(&self) -> String {
        if self.package.is_empty() {
            self.namespace.clone()
        } else {
            format!("{}/{}", self.namespace, self.package)
        }
    }

    /// `/guest/package/name`.
    pub(super) fn full_name(&self) -> String {
        format!("/{}/{}", self.path(), self.name)
    }

    /// What executes it.
    pub(super) fn function(&self) -> Function {
        Function {
            name: self.full_name(),
            kind: Kind::NodeJs,
            code: Code {
                text: self.exec.code.clone().unwrap_or_default(),
                binary: self.exec.is_archive(),
            },
            main: self.exec.main.clone().unwrap_or_else(|| "main".to_owned()),
            env: BTreeMap::new(),
            limits: Bounds {
                timeout: Duration::from_millis(self.limits.timeout),
                memory_mb: self.limits.memory,
                concurrency: self.limits.concurrency,
                max_containers: MAX_CONTAINERS,
                log_bytes: self.limits.logs << 20,
                ..Bounds::default()
            },
        }
    }

    /// Whether callers may not override its parameters.
    pub(super) fn is_final(&self) -> bool {
        let last = self
            .annotations
            .iter()
            .find(|annotation| annotation.key == "final");
        last.is_some_and(|annotation| annotation.value == true)
    }

    /// As listings have it.
    pub(super) fn summary(&self) -> Value {
        json!({
            "namespace": self.path(),
            "name": self.name,
            "version": self.version(),
            "publish": false,
            "annotations": self.annotations,
            "limits": self.limits,
            "updated": self.updated,
            "exec": { "binary": self.exec.is_archive() },
        })
    }

    /// In full, with its code or without.
    pub(super) fn document(&self, code: bool) -> Value {
        let mut document = self.summary();
        let mut exec = self.exec.clone();
        exec.binary = self.exec.is_archive();
        exec.code = exec.code.filter(|_| code);
        document["exec"] = json!(exec);
        document["parameters"] = json!(self.parameters);
        document
    }
}

impl Package {
    /// In full, with the actions that are in it.
    pub(super) fn document<'a>(&self, actions: impl Iterator<Item = &'a Action>) -> Value {
        let actions = actions.map(|action| {
            json!({
                "name": action.name,
                "version": action.version(),
                "annotations": action.annotations,
            })
        });
        let mut document = self.summary();
        document["parameters"] = json!(self.parameters);
        document["actions"] = actions.collect();
        document["feeds"] = json!([]);
        document
    }

    /// As listings have it.
    pub(super) fn summary(&self) -> Value {
        json!({
            "namespace": self.namespace,
            "name": self.name,
            "version": format!("0.0.{}", self.patch),
            "publish": self.publish,
            "annotations": self.annotations,
            "binding": false,
            "updated": self.updated,
        })
    }
}
