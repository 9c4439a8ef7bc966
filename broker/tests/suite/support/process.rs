//! Brokers as processes of their own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use assert_cmd::cargo::CommandCargoExt as _;

use super::PATIENCE;

/// A router as a process, with the addresses it says it has.
pub struct Process {
    pub child: Child,
    pub lambda: String,
    pub tables: String,
    pub admin: String,
    pub log: BufReader<std::process::ChildStderr>,
}

impl Process {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_program("edgerouter", arguments)
    }

    pub fn start_program(program: &str, arguments: &[&str]) -> Self {
        Self::start_with(program, arguments, &[])
    }

    /// With environment variables.
    pub fn start_with(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let serves = format!("{program} serves");
        let mut child = Command::cargo_bin(program)
            .unwrap()
            .args([
                "--server-endpoint=127.0.0.1:0",
                "--configuration=127.0.0.1:0",
            ])
            .arg("--admin-endpoint=127.0.0.1:0")
            .args(arguments)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let field = |line: &str, name: &str| {
            let rest = line.split_once(&format!("{name}=")).unwrap().1;
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let (mut line, mut admin) = (String::new(), String::new());
        while !line.contains(&serves) {
            line.clear();
            assert!(
                log.read_line(&mut line).unwrap() > 0,
                "ended before it served"
            );
            if line.contains("admin endpoint listens") {
                admin = field(&line, "address");
            }
        }
        Self {
            lambda: field(&line, "lambda"),
            tables: field(&line, "tables"),
            admin,
            child,
            log,
        }
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill {signal} {}", self.child.id())])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Process {
    /// The status line of the admin page at `path`.
    pub fn admin_status(&self, path: &str) -> String {
        let answer = self.admin_answer(path);
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// What is said at `path` of the admin endpoint.
    pub fn admin_answer(&self, path: &str) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(&self.admin).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The log, until a line that contains `part`, which is returned.
    pub fn wait_for(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "never: {part}");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// How it ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the process does not end");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
