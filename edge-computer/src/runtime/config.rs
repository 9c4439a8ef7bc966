//! The section `runtime`: which functions are executed, by what, and what they may use.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::function::{Code, Function, Kind, Limits};
use crate::params::Mapping;

/// Longest name of a lambda that controllers take, in bytes.
const MAX_NAME: usize = 255;
/// Longest file of code, in bytes: OpenWhisk's limit.
const MAX_CODE: u64 = 48 << 20;
/// Processes that there may be, for all functions.
const PROCESSES: RangeInclusive<u32> = 1..=65_536;
/// Least length of answers, in bytes: an error has to fit, and what `/init` is answered with.
const LEAST_RESULT: usize = 64;
/// What the environment of a process says of its place, which is not for functions to say.
const OWN_VARIABLES: [&str; 2] = ["PORT", "EDGE_RUNTIME_SECRET"];

/// Section `runtime`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuntimeConfig {
    /// What JavaScript is executed by: a program in the path, or the path of one, from the folder
    /// that the computer is started in.
    pub node: String,
    /// Processes at the same time, for all functions together, from 1 to 65,536. Beyond it, idle
    /// ones of other functions make room.
    pub max_containers: u32,
    /// How long a process may take until it serves.
    #[serde(with = "edge_daemon::duration")]
    pub start_within: Duration,
    /// How long a container is kept that nobody uses.
    #[serde(with = "edge_daemon::duration")]
    pub idle: Duration,
    /// How inputs become parameters, and results outputs.
    pub mapping: Mapping,
    /// The functions.
    #[serde(rename = "lambda")]
    pub lambdas: Vec<FunctionConfig>,
}

impl Default for RuntimeConfig {
    /// `node`; 64 processes, ten seconds to serve, a minute to be used again; no functions.
    fn default() -> Self {
        Self {
            node: "node".to_owned(),
            max_containers: 64,
            start_within: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            mapping: Mapping::default(),
            lambdas: Vec::new(),
        }
    }
}

/// An entry `[[runtime.lambda]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FunctionConfig {
    /// Name of the lambda.
    pub name: String,
    /// What runs it.
    #[serde(default)]
    pub kind: KindConfig,
    /// Its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The file of its source, or of an archive (ZIP) of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_file: Option<PathBuf>,
    /// An archive of its source, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_zip: Option<String>,
    /// What is called in it.
    #[serde(default = "main")]
    pub main: String,
    /// The command of kind `command`: it serves at the port that the variable `PORT` names, which
    /// stands for `{port}` in it, too. It runs in a folder of its own; the program, if it is the
    /// path of one, is looked for in the folder that the computer is started in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The servers of kind `endpoints`: `http://host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// Environment of the function.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How long one execution may take.
    #[serde(with = "edge_daemon::duration", default = "timeout")]
    pub timeout: Duration,
    /// Memory of one container, in MB, from 16 to 65,536. Our JavaScript runtime keeps its heap
    /// below it; for other kinds it means nothing.
    #[serde(default = "memory_mb")]
    pub memory_mb: u32,
    /// Executions at the same time in one container, from 1 to 1000.
    #[serde(default = "concurrency")]
    pub concurrency: u32,
    /// Containers at the same time, from 1 to 1000.
    #[serde(default = "max_containers")]
    pub max_containers: u32,
    /// Bytes of log that are kept of one execution.
    #[serde(default = "log_bytes")]
    pub max_log_bytes: usize,
    /// Bytes that a result may have, at least 64.
    #[serde(default = "result_bytes")]
    pub max_result_bytes: usize,
}

fn main() -> String {
    "main".to_owned()
}

fn timeout() -> Duration {
    Limits::default().timeout
}

fn memory_mb() -> u32 {
    Limits::default().memory_mb
}

fn concurrency() -> u32 {
    Limits::default().concurrency
}

fn max_containers() -> u32 {
    Limits::default().max_containers
}

fn log_bytes() -> usize {
    64 << 10
}

fn result_bytes() -> usize {
    Limits::default().result_bytes
}

/// What runs a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KindConfig {
    /// Our runtime for JavaScript.
    #[default]
    Nodejs,
    /// A command that serves the protocol.
    Command,
    /// Servers of the protocol that are there already.
    Endpoints,
}

/// What is wrong with a function.
#[derive(Debug, thiserror::Error)]
#[error("lambda '{name}': {problem}")]
pub struct FunctionError {
    name: String,
    problem: String,
}

impl RuntimeConfig {
    /// Checks what the types of the values do not say, but for the functions.
    ///
    /// # Errors
    /// The key of the first value that makes no sense, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        if !PROCESSES.contains(&self.max_containers) {
            return Err(("runtime.max-containers", "must be from 1 to 65536"));
        }
        if self.start_within.is_zero() {
            return Err(("runtime.start-within", "must be longer than nothing"));
        }
        if self.node.is_empty() {
            return Err((
                "runtime.node",
                "must be a program in the path, or the path of one",
            ));
        }
        Ok(())
    }

    /// What is missing on this machine of what the functions need, for a person.
    pub fn missing(&self) -> Option<String> {
        let mut kinds = self.lambdas.iter().map(|lambda| lambda.kind);
        if !kinds.any(|kind| kind == KindConfig::Nodejs) || is_there(&self.node) {
            return None;
        }
        Some(format!(
            "runtime.node: there is no program `{}`, functions of kind nodejs will fail",
            self.node
        ))
    }

    /// The functions, their code included.
    ///
    /// # Errors
    /// The first one that makes no sense, or whose code cannot be read.
    pub fn functions(&self) -> Result<Vec<Function>, FunctionError> {
        let mut names = BTreeSet::new();
        let functions = self.lambdas.iter().map(|lambda| {
            if !names.insert(&lambda.name) {
                return Err(lambda.problem("there are two of this name"));
            }
            lambda.function()
        });
        functions.collect()
    }
}

impl FunctionConfig {
    fn problem(&self, problem: impl Into<String>) -> FunctionError {
        FunctionError {
            name: self.name.clone(),
            problem: problem.into(),
        }
    }

    fn function(&self) -> Result<Function, FunctionError> {
        let check =
            |holds: bool, problem: &str| holds.then_some(()).ok_or_else(|| self.problem(problem));
        let named = !self.name.is_empty() && self.name.len() <= MAX_NAME;
        check(named, "a name has from 1 to 255 bytes")?;
        check(
            (1..=1000).contains(&self.concurrency),
            "concurrency must be from 1 to 1000",
        )?;
        check(
            (1..=1000).contains(&self.max_containers),
            "max-containers must be from 1 to 1000",
        )?;
        check(
            (16..=65_536).contains(&self.memory_mb),
            "memory-mb must be from 16 to 65536",
        )?;
        check(
            !self.timeout.is_zero(),
            "timeout must be longer than nothing",
        )?;
        check(
            self.max_result_bytes >= LEAST_RESULT,
            "max-result-bytes must be at least 64",
        )?;
        let commanded = self.kind == KindConfig::Command;
        check(
            commanded || self.command.is_empty(),
            "command is for kind command",
        )?;
        let elsewhere = self.kind == KindConfig::Endpoints;
        check(
            elsewhere || self.endpoints.is_empty(),
            "endpoints is for kind endpoints",
        )?;
        self.check_environment()?;
        let kind = match self.kind {
            KindConfig::Nodejs => {
                check(is_name(&self.main), "main must be a name of JavaScript")?;
                let empty = self
                    .code
                    .as_ref()
                    .is_some_and(|code| code.trim().is_empty());
                check(!empty, "code is empty")?;
                Kind::NodeJs
            }
            KindConfig::Command => {
                let program = self.command.first();
                let named = program.is_some_and(|program| !program.is_empty());
                check(named, "kind command takes a command")?;
                let clean = !self.command.iter().any(|word| word.contains('\0'));
                check(clean, "command has a NUL in it")?;
                let words = self.command.iter().skip(1).cloned();
                let program = program.map(|program| located(program));
                Kind::Command(program.into_iter().chain(words).collect())
            }
            KindConfig::Endpoints => {
                check(!self.endpoints.is_empty(), "kind endpoints takes endpoints")?;
                let urls = self.endpoints.iter().map(|url| self.url(url));
                Kind::Endpoints(urls.collect::<Result<_, _>>()?)
            }
        };
        Ok(Function {
            name: self.name.clone(),
            code: self.load(&kind)?,
            kind,
            main: self.main.clone(),
            env: self.env.clone(),
            limits: Limits {
                timeout: self.timeout,
                memory_mb: self.memory_mb,
                concurrency: self.concurrency,
                max_containers: self.max_containers,
                log_bytes: self.max_log_bytes,
                result_bytes: self.max_result_bytes,
            },
        })
    }

    fn check_environment(&self) -> Result<(), FunctionError> {
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let problem = format!("env: {name:?} can be no variable of an environment");
                return Err(self.problem(problem));
            }
            if OWN_VARIABLES.contains(&&**name) {
                let problem = format!("env: the computer sets the variable {name} itself");
                return Err(self.problem(problem));
            }
        }
        Ok(())
    }

    fn url(&self, text: &str) -> Result<String, FunctionError> {
        let url = reqwest::Url::parse(text);
        let url = url.map_err(|error| self.problem(format!("end-point {text}: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.problem(format!("end-point {text}: it begins with http://")));
        }
        Ok(text.trim_end_matches('/').to_owned())
    }

    fn load(&self, kind: &Kind) -> Result<Code, FunctionError> {
        match (&self.code, &self.code_file, &self.code_zip) {
            (Some(text), None, None) => Ok(Code {
                text: text.clone(),
                binary: false,
            }),
            (None, None, Some(archive)) => {
                let text: String = archive.split_whitespace().collect();
                match STANDARD.decode(&text) {
                    Ok(_) => Ok(Code { text, binary: true }),
                    Err(error) => Err(self.problem(format!("code-zip is no base64: {error}"))),
                }
            }
            (None, Some(path), None) => self.read(path),
            (None, None, None) if *kind != Kind::NodeJs => Ok(Code::default()),
            (None, None, None) => Err(self.problem("it has no code, code-file or code-zip")),
            _ => Err(self.problem("it has more than one of code, code-file and code-zip")),
        }
    }

    fn read(&self, path: &Path) -> Result<Code, FunctionError> {
        let unreadable = |problem: &dyn std::fmt::Display| {
            self.problem(format!("cannot read {}: {problem}", path.display()))
        };
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
        // Devices and pipes may have no end.
        if !metadata.is_file() {
            return Err(unreadable(&"it is no file"));
        }
        let length = metadata.len();
        if length > MAX_CODE {
            return Err(unreadable(&format!(
                "it has {length} bytes, at most {MAX_CODE}"
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
        if bytes.starts_with(b"PK\x03\x04") {
            return Ok(Code {
                text: STANDARD.encode(bytes),
                binary: true,
            });
        }
        let text = String::from_utf8(bytes).map_err(|error| unreadable(&error))?;
        Ok(Code {
            text,
            binary: false,
        })
    }
}

/// Whether JavaScript could call something `main`: names, and names of members.
fn is_name(main: &str) -> bool {
    main.split('.').all(|part| {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        part.chars().all(fits) && part.starts_with(|c: char| !c.is_numeric())
    })
}

/// A program as it is found from another folder, too.
pub(super) fn located(program: &str) -> String {
    if !program.contains('/') {
        return program.to_owned();
    }
    // An error means that there is no present folder.
    let absolute = std::path::absolute(program);
    absolute.map_or_else(|_| program.to_owned(), |path| path.display().to_string())
}

/// Whether there is a `program`, in the path or where it says.
fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
