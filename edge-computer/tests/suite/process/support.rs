//! The program as a child process, and a controller that remembers what it is told.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use edge_proto::rpc::edge_controller_server::{EdgeController, EdgeControllerServer};
use edge_proto::rpc::{ComputerInfo, RouterInfo, Void};
use edge_transport::{Cores, Endpoint, Listener, Server, ServerHandle};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgecomputer"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// What `edgecomputerwsk` says to `arguments`.
pub(crate) fn wsk_output(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgecomputerwsk"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The options that keep a computer of a test on ports of its own.
pub(crate) const OWN_PORTS: [&str; 4] = [
    "--server-endpoint=127.0.0.1:0",
    "--utilization-endpoint=127.0.0.1:0",
    "--admin-endpoint=",
    "--log-format=json",
];

/// `arguments`, and [`OWN_PORTS`] where they do not say otherwise.
pub(crate) fn with_own_ports<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let option = |argument: &str| argument.split('=').next().map(str::to_owned);
    let given: Vec<_> = arguments.iter().map(|argument| option(argument)).collect();
    let own = OWN_PORTS.into_iter();
    own.filter(|own| !given.contains(&option(own)))
        .chain(arguments.iter().copied())
        .collect()
}

/// A running computer; killed if the test fails.
pub(crate) struct Computer {
    pub(crate) child: Child,
    log: Receiver<String>,
}

impl Computer {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::started_by(command(with_own_ports(arguments)))
    }

    /// One whose soft limit of open files is `soft` when it is started.
    pub(crate) fn start_limited(soft: u32, arguments: &[&str]) -> Self {
        let computer = command(with_own_ports(arguments));
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("ulimit -Sn {soft} && exec \"$0\" \"$@\"")])
            .arg(computer.get_program())
            .args(computer.get_args())
            .env_clear()
            .stdin(Stdio::null());
        Self::started_by(shell)
    }

    fn started_by(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (send, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            let mut lines = stderr.lines().map_while(Result::ok);
            lines.try_for_each(|line| send.send(line))
        });
        Self { child, log }
    }

    /// The first line of the log that has `part` in it.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("never logged: {part}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// What has been logged that nobody has looked at, once it has ended.
    pub(crate) fn rest_of_log(&self) -> Vec<String> {
        let next = || self.log.recv_timeout(PATIENCE).ok();
        std::iter::from_fn(next).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the computer does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Announced(ComputerInfo),
    Removed(ComputerInfo),
}

/// A controller that remembers what it is told.
pub(crate) struct Recorder(Sender<Said>);

#[tonic::async_trait]
impl EdgeController for Recorder {
    async fn announce_computer(
        &self,
        info: Request<ComputerInfo>,
    ) -> Result<Response<Void>, Status> {
        self.0.send(Said::Announced(info.into_inner())).unwrap();
        Ok(Response::new(Void {}))
    }

    async fn announce_router(&self, _: Request<RouterInfo>) -> Result<Response<Void>, Status> {
        Err(Status::unimplemented("no routers here"))
    }

    async fn remove_computer(&self, info: Request<ComputerInfo>) -> Result<Response<Void>, Status> {
        self.0.send(Said::Removed(info.into_inner())).unwrap();
        Ok(Response::new(Void {}))
    }
}

pub(crate) struct Controller {
    pub(crate) endpoint: Endpoint,
    pub(crate) said: Receiver<Said>,
    _server: ServerHandle,
    _cores: Arc<Cores>,
}

impl Controller {
    pub(crate) fn start(listener: Listener) -> Self {
        let (send, said) = channel();
        let cores = Arc::new(Cores::start("controller", NonZeroUsize::MIN).unwrap());
        let routes = Routes::new(EdgeControllerServer::new(Recorder(send)));
        let server = Server::new(routes).serve(listener, &cores);
        Self {
            endpoint: server.local_addr().into(),
            said,
            _server: server,
            _cores: cores,
        }
    }

    pub(crate) fn next(&self) -> Said {
        self.said
            .recv_timeout(PATIENCE)
            .expect("word from the computer")
    }
}

pub(crate) fn free_port() -> Listener {
    Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap()
}
