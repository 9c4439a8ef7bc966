//! The programs as people start them, with QUIC all the way: `edgeclient`, `edgerouter`,
//! `edgecomputer`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A program of this workspace, built if it is not there yet.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let folder = Path::new(env!("CARGO_BIN_EXE_lab")).parent().unwrap();
    BUILT.get_or_init(|| {
        let programs = [
            "edgeclient",
            "edgecomputer",
            "edgerouter",
            "forwardingtableclient",
        ];
        if programs.iter().all(|name| folder.join(name).exists()) {
            return;
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--offline", "--bins"]);
        for package in ["edge-broker", "edge-computer", "edge-client"] {
            build.args(["-p", package]);
        }
        assert!(build.status().unwrap().success());
    });
    folder.join(name)
}

/// A folder with a CA and certificates of both roles.
fn certificates() -> TempDir {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.crt", ca.self_signed(&ca_key).unwrap().pem());
    let issuer = Issuer::new(ca, ca_key);
    for role in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = names.signed_by(&key, &issuer).unwrap();
        write(&format!("{role}.crt"), certificate.pem());
        write(&format!("{role}.key"), key.serialize_pem());
    }
    folder
}

/// A daemon that serves lambdas over QUIC and nothing else; ends with the test.
struct Daemon {
    child: Child,
    /// `host:port`, of the lambdas and of the metrics; and what else it says of where it listens.
    lambda: String,
    admin: String,
    says: String,
}

impl Daemon {
    /// Waits until it says `ready`, with the address of its lambdas as `field`.
    fn start(name: &str, options: &[&str], folder: &Path, ready: &str, field: &str) -> Self {
        let mut child = Command::new(program(name))
            .args(["--server-endpoint=127.0.0.1:0", "--server-conf=type=quic"])
            .args(["--admin-endpoint=127.0.0.1:0", "--num-threads=1"])
            .args(options)
            .env("CERT_DIR", folder)
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut says, mut admin) = (String::new(), String::new());
        while !says.contains(ready) {
            says.clear();
            assert!(log.read_line(&mut says).unwrap() > 0, "{name} has ended");
            if says.contains("admin endpoint listens") {
                admin = value(&says, "address");
            }
        }
        // It must be able to go on talking.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            lambda: value(&says, field),
            child,
            admin,
            says,
        }
    }

    fn count(&self, metric: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let mut values = answer
            .lines()
            .filter_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        let value = values.next().expect(metric);
        value.parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a line of a log says of `field`.
fn value(line: &str, field: &str) -> String {
    let (_, rest) = line.split_once(&format!("{field}=")).expect(field);
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Output of a program that ends by itself, well.
fn run(name: &str, arguments: &[&str], folder: &Path) -> String {
    let done = Command::new(program(name))
        .args(arguments)
        .env("CERT_DIR", folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{name}: {stderr}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn requests_go_all_the_way_over_quic_and_http3_and_the_counters_say_so() {
    let folder = certificates();
    let folder = folder.path();
    let options = ["--utilization-endpoint="];
    let computer = Daemon::start(
        "edgecomputer",
        &options,
        folder,
        "edgecomputer listens",
        "address",
    );
    let options = ["--configuration-endpoint=127.0.0.1:0"];
    let ready = "edgerouter serves";
    let router = Daemon::start("edgerouter", &options, folder, ready, "lambda");
    let tables = value(&router.says, "tables");
    let announced = value(&computer.says, "endpoint");
    assert_eq!(announced, format!("quic://{}", computer.lambda));

    let mut runs = 0;
    for onwards in ["quic", "h3"] {
        let destination = format!("{onwards}://{}", computer.lambda);
        let set = |action| {
            let table = ["--server", &tables, "--action", action];
            let route = ["--lambda", "clambda0", "--destination", &destination];
            run("forwardingtableclient", &[table, route].concat(), folder);
        };
        set("change");
        for inwards in ["quic", "h3"] {
            let at = format!("{inwards}://{}", router.lambda);
            let arguments = [
                "--server-endpoints",
                &at,
                "--num-threads=4",
                "--max-requests=25",
                "--output=json",
            ];
            let report = run("edgeclient", &arguments, folder);
            let report: serde_json::Value = serde_json::from_str(&report).unwrap();
            assert_eq!(report["ok"], 100, "{inwards} to {onwards}: {report}");
            assert_eq!(report["errors"], 0);
            assert_eq!(report["destinations"][0]["responder"], *destination);
            runs += 1;
            // Each run is one process with one connection.
            assert_eq!(router.count("edge_quic_server_connections_total"), runs);
        }
        set("remove");
    }
    assert_eq!(router.count("edge_quic_client_connections_total"), 2);
    assert_eq!(computer.count("edge_quic_server_connections_total"), 2);
    for daemon in [&router, &computer] {
        assert_eq!(daemon.count("edge_quic_server_handshakes_failed_total"), 0);
        assert_eq!(daemon.count("edge_quic_server_early_requests_total"), 0);
        let over_tcp = TcpStream::connect(&daemon.lambda);
        assert!(over_tcp.is_err(), "TCP is not served");
    }
}
