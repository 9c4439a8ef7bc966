//! A function that runs in runtime processes: its code, how it is started, what it may use.

use std::collections::BTreeMap;
use std::time::Duration;

/// A function as it is deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Name of the lambda.
    pub name: String,
    /// What runs it.
    pub kind: Kind,
    /// Its code: a text, or the base64 form of an archive.
    pub code: Code,
    /// What is called in it.
    pub main: String,
    /// Environment of the function, and of the process that runs it if we start it.
    pub env: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
}

/// What runs a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Our runtime for JavaScript.
    NodeJs,
    /// A command that serves the protocol at the port which the variable `PORT` names, and which
    /// stands for `{port}` in its arguments.
    Command(Vec<String>),
    /// Servers of the protocol that are there already, with their URL; each of them is one
    /// container.
    Endpoints(Vec<String>),
}

/// Code of a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Code {
    /// Source, or an archive in base64.
    pub text: String,
    /// Whether it is an archive.
    pub binary: bool,
}

/// What a function may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long one execution may take.
    pub timeout: Duration,
    /// Memory of one container, in MB. Our JavaScript runtime keeps its heap below it.
    pub memory_mb: u32,
    /// Executions at the same time in one container.
    pub concurrency: u32,
    /// Containers at the same time.
    pub max_containers: u32,
    /// Bytes of log that are kept of one execution.
    pub log_bytes: usize,
    /// Bytes that a result may have.
    pub result_bytes: usize,
}

impl Default for Limits {
    /// Those of OpenWhisk: one minute, 256 MB, one execution at a time, 1 MiB of result; 10 MiB of
    /// log; and four containers.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            memory_mb: 256,
            concurrency: 1,
            max_containers: 4,
            log_bytes: 10 << 20,
            result_bytes: 1 << 20,
        }
    }
}

impl Function {
    /// Executions at the same time in so many containers.
    pub(super) fn workers(&self, containers: u32) -> u32 {
        containers.saturating_mul(self.limits.concurrency.max(1))
    }

    /// Containers at the same time, where there are `places` for processes.
    pub(super) fn containers(&self, places: u32) -> u32 {
        match &self.kind {
            Kind::Endpoints(urls) => u32::try_from(urls.len()).unwrap_or(u32::MAX),
            Kind::NodeJs | Kind::Command(_) => self.limits.max_containers.clamp(1, places),
        }
    }
}
