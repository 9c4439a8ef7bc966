//! Device applications on the move: real processes, an ETSI MEC server that says where to go, and
//! moves that come from what the routers measure.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::support::{PATIENCE, Site, anywhere, eventually, reserved};
use edge_client::FollowingClient;
use edge_controller::{Controller, ControllerType};
use edge_proto::etsimec::Void;
use edge_proto::etsimec::contexts::ContextTuple;
use edge_proto::etsimec::ue_app_lcm_proxy_client::UeAppLcmProxyClient;
use edge_proto::rpc::LambdaRequest;
use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};
use mec_mx2::ApiRoot;
use mec_mx2::client::{Device, Options, app_list};
use mec_mx2::model::{Profile, Reference};

/// A program of this workspace, built if it is not there yet.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let folder = Path::new(env!("CARGO_BIN_EXE_lab")).parent().unwrap();
    BUILT.get_or_init(|| {
        let programs = [
            "ueapplcmproxy",
            "edgecontroller",
            "edgerouter",
            "edgecomputer",
            "edgeclient",
        ];
        if programs.iter().all(|name| folder.join(name).exists()) {
            return;
        }
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--offline",
            "--bins",
            "-p",
            "mec-mx2",
            "-p",
            "edge-controller",
        ]);
        build.args([
            "-p",
            "edge-broker",
            "-p",
            "edge-computer",
            "-p",
            "edge-client",
        ]);
        assert!(build.status().unwrap().success());
    });
    folder.join(name)
}

/// A process that ends with the test.
struct Process(Child);

impl Process {
    fn start(name: &str, arguments: &[String]) -> Self {
        let child = Command::new(program(name))
            .args(arguments)
            .args(["--log", "warn"])
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    fn daemon(name: &str, arguments: &[String]) -> Self {
        let mut all = arguments.to_vec();
        all.push("--admin-endpoint=".to_owned());
        Self::start(name, &all)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to end, and returns what it has printed.
    fn finish(mut self) -> String {
        let pid = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut text = String::new();
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        self.0.wait().unwrap();
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn option(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

/// A line to `to` that is `delay` long, each way.
fn far_away(to: Endpoint, delay: Duration) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = Endpoint::from(listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect((to.host(), to.port())) else {
                continue;
            };
            for (mut from, mut onto) in [
                (near.try_clone().unwrap(), far.try_clone().unwrap()),
                (far, near),
            ] {
                std::thread::spawn(move || {
                    let mut chunk = [0; 64 << 10];
                    while let Ok(read @ 1..) = from.read(&mut chunk) {
                        std::thread::sleep(delay);
                        if onto.write_all(&chunk[..read]).is_err() {
                            break;
                        }
                    }
                    // The other direction ends with this one.
                    let _ = onto.shutdown(std::net::Shutdown::Both);
                    let _ = from.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    here
}

/// Where an LCM proxy is managed.
struct Managed(UeAppLcmProxyClient<Channel>);

impl Managed {
    fn at(endpoint: &Endpoint) -> Self {
        let channel = control::channel(endpoint, None, Duration::from_secs(2));
        Self(UeAppLcmProxyClient::new(channel))
    }

    async fn contexts(&mut self) -> Vec<ContextTuple> {
        let contexts = self.0.contexts(Void {}).await;
        contexts
            .map(|contexts| contexts.into_inner().contexts)
            .unwrap_or_default()
    }

    async fn table(&mut self) -> Vec<(String, String, String)> {
        let table = self
            .0
            .table(Void {})
            .await
            .map(|table| table.into_inner().table);
        let rows = table.unwrap_or_default().into_iter();
        rows.map(|row| (row.client, row.app_name, row.server))
            .collect()
    }

    /// Waits until the only context is at `endpoint`.
    async fn wait_for(&mut self, why: &str, endpoint: &Endpoint) {
        let deadline = std::time::Instant::now() + PATIENCE * 2;
        loop {
            let contexts = self.contexts().await;
            if matches!(contexts.as_slice(), [only] if only.edge_router == endpoint.as_str()) {
                println!("{why}: the device application is at {endpoint}");
                return;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "never happened: {why}: {contexts:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_device_application_is_moved_by_what_is_measured_and_never_fails_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let platform = folder.path().join("platform.json");
    std::fs::write(&platform, crate::support::platform("clambda0")).unwrap();
    let (root, management) = (ApiRoot::plain(reserved()), reserved());
    let (controller_at, router_at, tables_at) = (reserved(), reserved(), reserved());

    let proxy = || {
        Process::daemon(
            "ueapplcmproxy",
            &[
                option("etsi-api-root", &root),
                option("server-endpoint", &management),
                option("state-folder", folder.path().join("state").display()),
            ],
        )
    };
    let computer = |at: &Endpoint, advertised: &Endpoint| {
        Process::daemon(
            "edgecomputer",
            &[
                option("conf", format!("type=file,path={}", platform.display())),
                option("server-endpoint", at),
                option("advertise", advertised),
                option("controller-endpoint", &controller_at),
                option("utilization-endpoint", ""),
                option("num-threads", 1),
            ],
        )
    };
    let load = |at: &Endpoint, more: &[String]| {
        let mut arguments = vec![option("server-endpoints", at), option("output", "json")];
        arguments.extend_from_slice(more);
        Process::start("edgeclient", &arguments)
    };

    let mut mx2 = proxy();
    let _controller = Process::daemon(
        "edgecontroller",
        &[
            option("server-endpoint", &controller_at),
            option("type", "etsi-balanced"),
            option("balanced-endpoint", &management),
            option("balanced-period", "300ms"),
        ],
    );
    let _router = Process::daemon(
        "edgerouter",
        &[
            option("server-endpoint", &router_at),
            option("configuration-endpoint", &tables_at),
            option("controller-endpoint", &controller_at),
            option("num-threads", 1),
        ],
    );
    // A computer that is 20 ms away, there and back.
    let far = reserved();
    let far_seen = far_away(far.clone(), Duration::from_millis(10));
    let _far = computer(&far, &far_seen);
    // Others call through the router, which learns from that.
    let _others = load(&router_at, &[option("rate", 100), option("timeout", "5s")]);

    let mut managed = Managed::at(&management);
    let deadline = std::time::Instant::now() + PATIENCE;
    while managed.table().await.is_empty() {
        assert!(
            std::time::Instant::now() < deadline,
            "never happened: a default route"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let device = load(
        &far,
        &[
            option("etsi-api-root", &root),
            option("etsi-notification-uri", "http://127.0.0.1:0"),
            option("rate", 20),
            option("timeout", "20s"),
            "--idempotent".to_owned(),
        ],
    );
    managed.wait_for("it asks", &far_seen).await;

    let near = reserved();
    let mut running = computer(&near, &near);
    managed.wait_for("a nearer computer appears", &near).await;

    let crowd = load(
        &near,
        &[option("num-threads", 16), option("max-requests", 1_000_000)],
    );
    managed
        .wait_for("its computer becomes slow", &far_seen)
        .await;
    drop(crowd);
    managed.wait_for("its computer is quick again", &near).await;

    // The server forgets nothing when it dies.
    mx2.kill();
    mx2 = proxy();
    managed.wait_for("the server restarts", &near).await;

    running.kill();
    managed.wait_for("its computer dies", &far_seen).await;
    // Some calls after the last move.
    tokio::time::sleep(Duration::from_millis(500)).await;

    let report = device.finish();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    println!(
        "sent {}, ok {}, latency in ms {}",
        report["sent"], report["ok"], report["latency_ms"]
    );
    // Calls that are under way when the client is told to end are its own doing.
    let failed = report["errors_by_kind"].as_object().unwrap();
    let failed: Vec<_> = failed
        .keys()
        .filter(|kind| *kind != "interrupted")
        .collect();
    assert!(failed.is_empty(), "{report}");
    assert!(report["ok"].as_u64().unwrap() > 50, "{report}");
    let deadline = std::time::Instant::now() + PATIENCE;
    while !managed.contexts().await.is_empty() {
        assert!(
            std::time::Instant::now() < deadline,
            "never happened: it leaves"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(mx2);
}

/// The end-to-end test of the C++ reference, with its interface and its period.
#[tokio::test]
async fn testetsitransaction_lambdas_follow_the_default_route() {
    let mut config = edge_controller::Config::default();
    config.server.endpoint = anywhere();
    config.admin.endpoint = "".parse().unwrap();
    config.controller.r#type = ControllerType::EtsiBalanced;
    config.etsi.api_root = ApiRoot::plain(anywhere());
    config.etsi.management_endpoint = anywhere();
    let controller = Controller::start(config).await.unwrap();
    let root = controller.etsi_root().unwrap().clone();
    let mut managed = Managed::at(&Endpoint::from(
        controller.etsi_management_address().unwrap(),
    ));
    let mut site = Site::without_controller(Endpoint::from(controller.address()));
    let first = site.computer(|_| {}).await;
    let options = Options::new(root);
    // What a computer serves by default.
    let lambdas = ["clambda0", "glambda0"];
    let default = |at: &str| {
        let route = |lambda: &str| (String::new(), lambda.to_owned(), at.to_owned());
        lambdas.map(route).to_vec()
    };
    let first_at = first.endpoint().to_string();
    let wait_for_table = async |managed: &mut Managed, expected: Vec<(String, String, String)>| {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let table = managed.table().await;
            if table == expected {
                return;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "{table:?} is not {expected:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    wait_for_table(&mut managed, default(&first_at)).await;
    let second = site.computer(|_| {}).await;
    let (_, apps) = app_list(&options).await.unwrap();
    assert_eq!(
        apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(),
        lambdas
    );

    let here: ApiRoot = "http://127.0.0.1:0".parse().unwrap();
    let device = Device::start(options.clone(), &here).unwrap();
    let followed = device.follow_app(&apps[0], Profile::Legacy).await.unwrap();
    assert_eq!(followed.reference(), Reference::parse(&first_at));
    wait_for_table(&mut managed, default(&first_at)).await;
    let transport = edge_transport::LambdaClient::new(
        edge_transport::Core::current(),
        std::sync::Arc::default(),
    );
    let client = FollowingClient::new(std::sync::Arc::new(transport), followed.clone());
    let input = "x".repeat(1000);
    let call = async || {
        let request = LambdaRequest::new("clambda0", &input);
        client.call(&request, PATIENCE).await.unwrap().response
    };
    assert_eq!(call().await.output, input);

    let second_at = second.endpoint().to_string();
    first.shutdown(PATIENCE).await;
    let moved = Reference::parse(&second_at);
    eventually("the client is told", || followed.reference() == moved).await;
    wait_for_table(&mut managed, default(&second_at)).await;
    assert_eq!(app_list(&options).await.unwrap().1.len(), lambdas.len());
    assert_eq!(call().await.output, input);

    second.shutdown(PATIENCE).await;
    wait_for_table(&mut managed, Vec::new()).await;
    device.stop(&[followed]).await;
    assert_eq!(managed.contexts().await, []);
    let deadline = std::time::Instant::now() + PATIENCE;
    while !app_list(&options).await.unwrap().1.is_empty() {
        assert!(
            std::time::Instant::now() < deadline,
            "never happened: the list is empty"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    controller.shutdown(PATIENCE).await;
}
