//! A whole daemon as a process: the example `greeter`, its options, signals and exit codes.

#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, PipeReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Cargo builds examples along with the tests, beside the directory of the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples/greeter");
    assert!(
        path.exists(),
        "{} is built by `cargo test -p edge-daemon`",
        path.display()
    );
    path
}

fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn output<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A running greeter; killed if the test fails.
struct Greeter {
    child: Child,
    log: Receiver<String>,
    server: SocketAddr,
    admin: SocketAddr,
}

impl Greeter {
    fn start(arguments: &[&str]) -> Self {
        let own = [
            "--server-endpoint=127.0.0.1:0",
            "--admin-endpoint=0",
            "--log-format=json",
        ];
        let mut child = command([&own, arguments].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let mut greeter = Self {
            child,
            log,
            server: SocketAddr::from(([0; 4], 0)),
            admin: SocketAddr::from(([0; 4], 0)),
        };
        greeter.admin = address_in(&greeter.wait_for("admin endpoint listens"));
        greeter.server = address_in(&greeter.wait_for("greeter listens"));
        greeter
    }

    /// The next line of the log with this text in it.
    fn wait_for(&self, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .log
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no `{wanted}` in the log"));
            if line.contains(wanted) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end of the log, and with it of the process.
    fn exit(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("the process does not end"),
            }
        }
    }

    /// A connection that was greeted, and that the greeter waits for when it drains.
    fn greeted(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_exact(&mut [0; 6]).unwrap();
        stream
    }

    fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: &str) -> SocketAddr {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["fields"]["address"].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_first_signal_ends_an_idle_process_with_success() {
    for signal in ["TERM", "INT"] {
        let greeter = Greeter::start(&[]);
        greeter.signal(signal);
        assert!(
            greeter
                .wait_for("draining")
                .contains(&format!("SIG{signal}"))
        );
        assert_eq!(greeter.exit().code(), Some(0));
    }
}

#[test]
fn the_first_signal_lets_work_in_flight_finish() {
    let greeter = Greeter::start(&[]);
    let connection = greeter.greeted();
    greeter.signal("TERM");
    greeter.wait_for("draining");
    assert!(greeter.page("/readyz").ends_with("not ready: draining\n"));
    drop(connection);
    assert_eq!(greeter.exit().code(), Some(0));
}

#[test]
fn the_second_signal_ends_the_process_at_once() {
    let greeter = Greeter::start(&[]);
    let _connection = greeter.greeted();
    greeter.signal("TERM");
    greeter.wait_for("draining");
    greeter.signal("INT");
    greeter.wait_for("SIGINT again: ending at once");
    assert_eq!(greeter.exit().code(), Some(1));
}

/// A running greeter with a visitor, whose log nobody reads any more, as after `| head -1`.
fn unheard() -> (Child, TcpStream) {
    let mut child = command([
        "--server-endpoint=127.0.0.1:0",
        "--admin-endpoint=",
        "--log-format=json",
    ])
    .env("GREETER__DRAIN__DEADLINE", "1h")
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let (_log, line) = listening(&mut child);
    let mut visitor = TcpStream::connect(address_in(&line)).unwrap();
    visitor.set_read_timeout(Some(PATIENCE)).unwrap();
    visitor.read_exact(&mut [0; 6]).unwrap();
    (child, visitor)
}

/// Waits until the process listens: its log from then on, and the line that says so.
fn listening(child: &mut Child) -> (BufReader<ChildStderr>, String) {
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("greeter listens") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the process ended");
    }
    (log, line)
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(kill.unwrap().success());
}

#[test]
fn a_process_whose_log_nobody_reads_drains() {
    let (mut child, visitor) = unheard();
    let server = visitor.peer_addr().unwrap();
    terminate(&child);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(server).is_ok() {
        assert!(Instant::now() < deadline, "the process does not drain");
    }
    drop(visitor);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_second_signal_ends_a_process_whose_log_nobody_reads() {
    let (mut child, _visitor) = unheard();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "no signal ends the process");
        terminate(&child);
        thread::yield_now();
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// A running greeter with a visitor, whose standard error somebody holds without reading it, as
/// a log collector that hangs. The first is that somebody.
fn stuck() -> (PipeReader, Child, TcpStream) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut other = writer.try_clone().unwrap();
    // Fills the pipe, and waits for room until the reader goes.
    thread::spawn(move || other.write_all(&[b'\n'; 1 << 20]));
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let endpoint = format!("--server-endpoint={address}");
    let child = command([&endpoint, "--admin-endpoint=", "--log-format=json"])
        .env("GREETER__DRAIN__DEADLINE", "1h")
        .stderr(writer)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut visitor = loop {
        match TcpStream::connect(address) {
            Ok(visitor) => break visitor,
            Err(error) => assert!(Instant::now() < deadline, "it does not serve: {error}"),
        }
    };
    visitor.set_read_timeout(Some(PATIENCE)).unwrap();
    visitor.read_exact(&mut [0; 6]).unwrap();
    (reader, child, visitor)
}

fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the process does not end");
        thread::yield_now();
    }
}

#[test]
fn a_process_whose_log_is_stuck_serves_and_drains() {
    let (_reader, mut child, visitor) = stuck();
    let server = visitor.peer_addr().unwrap();
    terminate(&child);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(server).is_ok() {
        assert!(Instant::now() < deadline, "the process does not drain");
    }
    drop(visitor);
    assert_eq!(ended(&mut child).code(), Some(0));
}

#[test]
fn the_second_signal_ends_a_process_whose_log_is_stuck() {
    let (_reader, mut child, visitor) = stuck();
    let server = visitor.peer_addr().unwrap();
    terminate(&child);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(server).is_ok() {
        assert!(Instant::now() < deadline, "the first signal is not heard");
    }
    terminate(&child);
    assert_eq!(ended(&mut child).code(), Some(1));
}

#[test]
fn a_drain_that_misses_its_deadline_is_a_failure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "[drain]\ndeadline = '1ms'\n").unwrap();
    let greeter = Greeter::start(&["--conf", file.path().to_str().unwrap()]);
    let _connection = greeter.greeted();
    greeter.signal("TERM");
    greeter.wait_for("error: gave up what was still in flight after 1ms");
    assert_eq!(greeter.exit().code(), Some(1));
}

#[test]
fn the_admin_endpoint_shows_what_the_program_counts() {
    let greeter = Greeter::start(&["--greeting", "type=polite,title=Sir"]);
    let _connection = greeter.greeted();
    let deadline = Instant::now() + PATIENCE;
    while !greeter.page("/metrics").contains("greeted_total 1\n") {
        assert!(Instant::now() < deadline, "the greeting is not counted");
    }
    assert!(greeter.page("/greeting").ends_with("\"hello Sir\\n\"\n"));
}

#[test]
fn the_configuration_in_force_is_printed() {
    let output = command([
        "--print-config",
        "--greeting-conf",
        "type=polite, title=Sir",
    ])
    .env("GREETER__GREETING__REPEAT", "2")
    .output()
    .unwrap();
    assert!(output.status.success());
    let printed: toml::Table = toml::from_str(text(&output.stdout)).unwrap();
    assert_eq!(printed["greeting"]["type"].as_str(), Some("polite"));
    assert_eq!(printed["greeting"]["repeat"].as_integer(), Some(2));
    assert_eq!(
        printed["admin"]["endpoint"].as_str(),
        Some("127.0.0.1:9499")
    );
    assert_eq!(printed["drain"]["deadline"].as_str(), Some("10s"));
}

#[test]
fn a_configuration_is_checked() {
    let good = output(["--check-config"]);
    assert_eq!(
        (good.status.code(), text(&good.stdout)),
        (Some(0), "configuration OK\n")
    );

    let odd = output(["--check-config", "--greeting-conf", "title=Sir"]);
    assert_eq!(odd.status.code(), Some(0));
    assert_eq!(
        text(&odd.stdout),
        "warning: --greeting-conf: key `title` means nothing to type `plain` and is ignored\n\
         configuration OK\n"
    );

    let bad = output(["--check-config", "--greeting-conf", "repeat=0"]);
    assert_eq!((bad.status.code(), text(&bad.stdout)), (Some(2), ""));
    assert_eq!(
        text(&bad.stderr),
        "error: option --greeting-conf: `greeting.repeat`: must be at least 1\n"
    );
}

#[test]
fn errors_of_usage_and_configuration_exit_with_2() {
    let missing = output(["--conf", "/nonexistent.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(
        text(&missing.stderr),
        "error: cannot read configuration file /nonexistent.toml: No such file or directory (os error 2)\n"
    );
    let unknown = output(["--nonsense"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).starts_with("error: unexpected argument '--nonsense'"));
}

#[test]
fn what_an_error_quotes_gives_no_orders_to_a_terminal() {
    let output = output(["--conf", "/nonexistent\x1b[2J.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains(r"/nonexistent\u{1b}[2J.toml"), "{stderr:?}");
    assert!(!stderr.contains('\x1b'), "{stderr:?}");
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    for option in ["--help", "--version", "--print-config", "--check-config"] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let output = command([option]).stdout(full.unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{option}");
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("cannot write to standard output: No space"),
            "{stderr}"
        );
    }
}

#[test]
fn a_process_may_have_as_many_files_open_as_its_hard_limit_says() {
    let limits = |pid: u32| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let words = line.unwrap().split_whitespace().skip(3).take(2);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let low = format!("ulimit -Sn 64 && exec {} \"$@\"", program().display());
    let mut child = Command::new("sh")
        .args([
            "-c",
            &low,
            "sh",
            "--server-endpoint=127.0.0.1:0",
            "--admin-endpoint=",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (_log, _line) = listening(&mut child);
    let [soft, hard] = &limits(child.id())[..] else {
        panic!("there are two limits");
    };
    assert_eq!(soft, hard);
    assert_ne!(soft, "64");
    terminate(&child);
    assert_eq!(ended(&mut child).code(), Some(0));
}

#[test]
fn a_failure_exits_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = output(["--server-endpoint=127.0.0.1:0", "--admin-endpoint", &port]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        format!(
            "error: cannot listen on 127.0.0.1:{port} for the admin endpoint: \
             Address already in use (os error 98)\n"
        )
    );
}

#[test]
fn help_and_version_succeed_on_standard_output() {
    for option in ["--help", "-h", "--version", "-v"] {
        let output = output([option]);
        assert_eq!(output.status.code(), Some(0), "{option}");
        assert!(text(&output.stdout).contains("reet"), "{option}");
        assert!(output.stderr.is_empty(), "{option}");
    }
}
