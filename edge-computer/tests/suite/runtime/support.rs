//! Functions on a computer of their own.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use edge_computer::config::Config;
use edge_computer::executor::{Execution, ExecutionError, Executor as _, Invocation};
use edge_computer::runtime::{RuntimeConfig, Runtimes};
use serde_json::Value;

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server of the protocol in Python, which says what it is asked.
const PYTHON: &str = r#"
import http.server, json, os, sys

class Runtime(http.server.BaseHTTPRequestHandler):
    initialised = 0
    def log_message(self, *_): pass
    def do_GET(self): self.answer(404, {})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/init":
            Runtime.initialised += 1
            return self.answer(200 if Runtime.initialised == 1 else 403, {})
        if body["value"].get("crash"): os._exit(1)
        self.answer(200, {"value": body["value"], "name": body["action_name"]})
    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Runtime).serve_forever()
"#;

/// The functions that `toml` describes: entries of `[runtime]`.
pub(crate) fn runtimes(toml: &str) -> Runtimes {
    bounded(toml, Config::default().limits.max_wait)
}

/// The same, where nobody waits for longer than `max_wait`.
pub(crate) fn bounded(toml: &str, max_wait: Duration) -> Runtimes {
    let config: RuntimeConfig = toml::from_str(toml).unwrap();
    Runtimes::start(&config, Config::default().limits.max_pending, max_wait).unwrap()
}

/// One JavaScript function `f`, with `more` keys.
pub(crate) fn javascript(code: &str, more: &str) -> Runtimes {
    runtimes(&format!(
        "[[lambda]]\nname = 'f'\ncode = '''\n{code}\n'''\n{more}"
    ))
}

pub(crate) fn invocation(input: &str) -> Invocation {
    Invocation {
        lambda: "f".to_owned(),
        input: input.to_owned(),
        ..Invocation::default()
    }
}

pub(crate) async fn run(runtimes: &Runtimes, input: &str) -> Result<Execution, ExecutionError> {
    runtimes
        .run(invocation(input), Instant::now() + PATIENCE)
        .await
}

/// What `f` answers to `input`.
pub(crate) async fn output(runtimes: &Runtimes, input: &str) -> String {
    run(runtimes, input).await.unwrap().output
}

/// The text of a failure of the function, and its whole answer.
pub(crate) async fn failure(runtimes: &Runtimes, input: &str) -> (String, Value) {
    match run(runtimes, input).await {
        Err(ExecutionError::Failed { text, execution }) => {
            (text, serde_json::from_str(&execution.output).unwrap())
        }
        other => panic!("no failure of the function: {other:?}"),
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the process `pid` lives.
pub(crate) fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Its first thread may be dead before the others are, and it is alive until they are.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    !stat.is_empty() && (threads > 1 || !stat.contains(") Z "))
}

/// The Python script, in `folder`.
pub(crate) fn python(folder: &Path) -> String {
    let script = folder.join("runtime.py");
    std::fs::write(&script, PYTHON).unwrap();
    script.display().to_string()
}

/// A server of the protocol that is killed when it is dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the Python script, and waits until it serves.
pub(crate) async fn python_server(folder: &Path) -> (Server, String) {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = probe.local_addr().unwrap();
    drop(probe);
    let server = Command::new("python3")
        .args([python(folder), address.port().to_string()])
        .spawn();
    let server = Server(server.unwrap());
    eventually("it serves", || TcpStream::connect(address).is_ok()).await;
    (server, format!("http://{address}"))
}
