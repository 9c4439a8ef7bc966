//! Runtime processes: how they are started, where they listen, and that none is left behind.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use edge_daemon::open_files;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, geteuid, kill_process_group, waitid};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::function::{Function, Kind};
use super::guard::{Guard, Guarded};
use super::logs::{Log, READ_WITHIN, Stream};
use super::places::{Claim, Place};
use super::protocol::Client;

/// Our runtime for JavaScript.
const NODEJS: &str = include_str!("nodejs.mjs");
/// How often it is tried whether a command serves already.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Why a runtime process does not serve.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("{command} cannot be started: {reason}")]
    Spawn { command: String, reason: String },
    #[error("{command} does not serve within {within:?}")]
    Silent { command: String, within: Duration },
    #[error("{command} has ended without serving: {said}")]
    Ended { command: String, said: String },
}

/// What all processes of a computer have in common.
#[derive(Debug)]
pub(super) struct Workshop {
    /// What our JavaScript runtime is executed by.
    pub(super) node: String,
    /// How long a process may take until it serves.
    pub(super) start_within: Duration,
    /// Where the runtime lies, and the folders of the processes.
    pub(super) folder: TempDir,
    pub(super) client: Client,
    /// Who ends them if this computer cannot; `None` where there is no shell.
    pub(super) guard: Option<Arc<Guard>>,
    /// All of them, so that their end can be waited for.
    pub(super) supervisors: TaskTracker,
}

/// A process that serves; dropped, it is killed, with everything that it has started.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    pub(super) log: Arc<Log>,
    /// Cancelled once it has ended.
    pub(super) ended: CancellationToken,
    id: Option<Pid>,
    _kill: DropGuard,
    _claim: Claim,
}

impl Process {
    /// Whether it has ended, even if that has not been noticed yet. It is left to be waited for.
    pub(super) fn has_exited(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error means that it is no child any more.
        let state = self.id.map(|id| waitid(WaitId::Pid(id), look));
        self.ended.is_cancelled() || !matches!(state, Some(Ok(None)))
    }
}

impl Workshop {
    /// Where our JavaScript runtime lies.
    pub(super) fn script(&self) -> PathBuf {
        self.folder.path().join("nodejs.mjs")
    }

    /// Writes our runtime to its folder, anew if somebody has tidied up there.
    pub(super) fn restore(&self) -> std::io::Result<()> {
        let script = self.script();
        if script.exists() {
            return Ok(());
        }
        let folder = self.folder.path();
        if let Err(error) = DirBuilder::new().mode(0o700).create(folder) {
            let found = folder.symlink_metadata()?;
            // Somebody else who took its name could replace what is executed.
            if !found.is_dir() || found.uid() != geteuid().as_raw() {
                return Err(error);
            }
        }
        std::fs::write(script, NODEJS)
    }

    fn command(&self, function: &Function, port: u16) -> Vec<String> {
        match &function.kind {
            Kind::Command(words) => {
                let port = port.to_string();
                words
                    .iter()
                    .map(|word| word.replace("{port}", &port))
                    .collect()
            }
            Kind::NodeJs | Kind::Endpoints(_) => vec![
                self.node.clone(),
                format!("--max-old-space-size={}", function.limits.memory_mb),
                self.script().display().to_string(),
            ],
        }
    }

    /// Starts a process for `function`, and waits until it serves. It holds `place` until it has
    /// ended. Whether such processes print no markers is learnt in `unmarked`. To be called on the runtime that all processes belong to.
    pub(super) async fn launch(
        &self,
        function: &Function,
        place: Place,
        unmarked: &Arc<AtomicBool>,
    ) -> Result<Process, LaunchError> {
        let ours = function.kind == Kind::NodeJs;
        let secret = ours.then(|| uuid::Uuid::new_v4().simple().to_string());
        let name = || match &function.kind {
            Kind::NodeJs => self.node.clone(),
            Kind::Command(words) => words.first().cloned().unwrap_or_default(),
            Kind::Endpoints(_) => String::new(),
        };
        let spawn_error = |reason: &dyn std::fmt::Display| LaunchError::Spawn {
            command: name(),
            reason: reason.to_string(),
        };
        let port = if ours {
            0
        } else {
            free_port().map_err(|e| spawn_error(&e))?
        };
        self.restore().map_err(|e| spawn_error(&e))?;
        let folder = tempfile::tempdir_in(self.folder.path()).map_err(|e| spawn_error(&e))?;
        let words = self.command(function, port);
        let env = environment(function, &folder, port, secret.as_deref());
        let mut child = Command::new(words.first().map_or("", String::as_str))
            .args(words.get(1..).unwrap_or_default())
            .env_clear()
            .envs(env)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| spawn_error(&error))?;
        // At once: of a computer that is killed before it has told, the process would live on.
        let id = process_id(&child);
        let guarded = self
            .guard
            .as_ref()
            .zip(id)
            .map(|(guard, id)| guard.watch(id));
        let stdout = child.stdout.take().map(BufReader::new);
        // Ours prints markers, be it late.
        let unmarked = if ours {
            Arc::default()
        } else {
            unmarked.clone()
        };
        let log = Arc::new(Log::new(function.limits.log_bytes, unmarked));
        let deadline = Instant::now() + self.start_within;
        let (ended, kill) = (CancellationToken::new(), CancellationToken::new());
        let mut stdout = stdout.expect("its output is piped");
        let stderr = child.stderr.take().expect("its errors are piped");
        let collect_stderr = log.clone().collect(Stream::Stderr, stderr, ended.clone());
        let stderr = tokio::spawn(collect_stderr);
        if let Some(id) = id {
            open_files::restore(id);
        }
        let claim = place.claim();
        let supervised = Supervised {
            child,
            guarded,
            folder,
            place,
        };
        let process = Process {
            url: format!("http://127.0.0.1:{port}"),
            secret,
            log: log.clone(),
            ended: ended.clone(),
            id,
            _kill: kill.clone().drop_guard(),
            _claim: claim,
        };
        self.supervisors
            .spawn(supervised.watch(kill, ended.clone()));
        // Our runtime tells its port first. What others print is read at once, lest they wait for it.
        let told = if ours {
            timeout_at(deadline, told_port(&mut stdout, &log)).await
        } else {
            Ok(Some(port))
        };
        let collect_stdout = log.clone().collect(Stream::Stdout, stdout, ended.clone());
        let stdout = tokio::spawn(collect_stdout);
        let served = match told {
            Ok(Some(port)) if !ours => {
                let serves = self.serves(&process.url, &ended);
                let serves = timeout_at(deadline, serves).await;
                serves.map(|serves| serves.then_some(port))
            }
            told => told,
        };
        match served {
            Ok(Some(port)) => Ok(Process {
                url: format!("http://127.0.0.1:{port}"),
                ..process
            }),
            Ok(None) => {
                let read = async { (stdout.await, stderr.await) };
                let _read = tokio::time::timeout(READ_WITHIN, read).await;
                Err(LaunchError::Ended {
                    command: name(),
                    said: log.rest().join("; ").chars().take(500).collect(),
                })
            }
            Err(_) => Err(LaunchError::Silent {
                command: name(),
                within: self.start_within,
            }),
        }
    }

    /// Waits until something answers at `url`; false if the process ends before.
    async fn serves(&self, url: &str, ended: &CancellationToken) -> bool {
        loop {
            if self.client.answers(url).await {
                return true;
            }
            let pause = tokio::time::sleep(POLL_EVERY);
            if ended.run_until_cancelled(pause).await.is_none() {
                return false;
            }
        }
    }
}

/// What the process finds in its environment; nothing of ours but the path of programs.
fn environment(
    function: &Function,
    folder: &TempDir,
    port: u16,
    secret: Option<&str>,
) -> BTreeMap<String, String> {
    let home = folder.path().display().to_string();
    let mut env = function.env.clone();
    for (name, value) in [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("HOME", home.clone()),
        ("TMPDIR", home),
        ("PORT", port.to_string()),
    ] {
        env.entry(name.to_owned()).or_insert(value);
    }
    if let Some(secret) = secret {
        env.insert("EDGE_RUNTIME_SECRET".to_owned(), secret.to_owned());
    }
    env
}

fn process_id(child: &Child) -> Option<Pid> {
    let id = i32::try_from(child.id()?).ok()?;
    Pid::from_raw(id)
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    let probe = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(probe.local_addr()?.port())
}

/// The port of our runtime, from its first line; anything else is what it has to say.
async fn told_port(stdout: &mut (impl AsyncBufRead + Unpin), log: &Log) -> Option<u16> {
    let mut line = Vec::new();
    let first = stdout.take(64).read_until(b'\n', &mut line).await;
    let line = line.trim_ascii_end();
    let text = str::from_utf8(line).unwrap_or_default();
    let port = text
        .strip_prefix("listening ")
        .and_then(|port| port.parse().ok());
    if port.is_none() && first.is_ok() && !line.is_empty() {
        log.line(Stream::Stdout, line);
    }
    port
}

/// A process, and what it holds until it has ended.
struct Supervised {
    child: Child,
    guarded: Option<Guarded>,
    folder: TempDir,
    place: Place,
}

impl Supervised {
    /// Waits for the end of the process, or brings it about.
    async fn watch(mut self, kill: CancellationToken, ended: CancellationToken) {
        // Its standard input stays open as long as this process lives.
        let _life_line = self.child.stdin.take();
        let group = process_id(&self.child);
        let by_itself = kill.run_until_cancelled(self.child.wait()).await.is_some();
        // Also what it has started and left.
        if let Some(group) = group {
            // An error means that there is nobody left.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        if !by_itself && let Err(error) = self.child.wait().await {
            tracing::error!(%error, "a runtime process cannot be waited for");
        }
        drop(self.guarded);
        ended.cancel();
        drop(self.place);
        if let Err(error) = self.folder.close() {
            tracing::warn!(%error, "the folder of a runtime process cannot be removed");
        }
    }
}
