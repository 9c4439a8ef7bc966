//! What `forwardingtableclient` refuses, on the command line and of a router that lies.

use std::num::NonZeroUsize;
use std::process::Output;
use std::sync::Arc;

use assert_cmd::cargo::CommandCargoExt as _;
use bytes::Bytes;
use edge_proto::rpc::edge_router_server::{EdgeRouter, EdgeRouterServer};
use edge_proto::rpc::{
    EdgeRouterConf, ForwardingTable, NumTables, Return, TableId, Void, forwarding_table,
};
use edge_proto::table::MOST_AT_ONCE;
use edge_transport::{
    Core, Cores, LambdaCall, LambdaReply, LambdaService, Listener, Metadata, Peer, Server,
    ServerHandle,
};
use prost::Message as _;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Says that it has one table, and leaves what is in it to [`Page`].
struct Liar;

#[tonic::async_trait]
impl EdgeRouter for Liar {
    async fn configure(&self, _: Request<EdgeRouterConf>) -> Result<Response<Return>, Status> {
        Err(Status::unimplemented("it only lies"))
    }

    async fn get_table(&self, _: Request<TableId>) -> Result<Response<ForwardingTable>, Status> {
        Err(Status::internal("the page is another service"))
    }

    async fn get_num_tables(&self, _: Request<Void>) -> Result<Response<NumTables>, Status> {
        Ok(Response::new(NumTables { value: 1 }))
    }
}

/// Answers with the same page whatever is asked for. It was encoded before anybody asked: the time that the
/// program waits for an answer is for reading it.
struct Page(Bytes);

impl LambdaService for Page {
    const METHOD: &'static str = "/uiiit.rpc.EdgeRouter/GetTable";

    async fn run(&self, _: &Core, _: Peer, _: LambdaCall) -> Result<LambdaReply, Status> {
        Ok(LambdaReply {
            message: self.0.clone(),
            trailers: Metadata::new(),
        })
    }
}

fn table(lambdas: &[&str], total: u64) -> ForwardingTable {
    let entry = |lambda: &&str| forwarding_table::Entry {
        lambda: (*lambda).to_owned(),
        destination: "10.0.0.1:1".to_owned(),
        weight: 1.0,
        ..forwarding_table::Entry::default()
    };
    ForwardingTable {
        entries: lambdas.iter().map(entry).collect(),
        total,
        ..ForwardingTable::default()
    }
}

fn liar(page: Bytes) -> (ServerHandle, Arc<Cores>) {
    let cores = Arc::new(Cores::start("liar", NonZeroUsize::MIN).unwrap());
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let page = Arc::new(Page(page));
    let server = Server::new(Routes::new(EdgeRouterServer::new(Liar))).with_lambda(page);
    (server.serve(listener, &cores), cores)
}

fn client(arguments: &[&str]) -> Output {
    std::process::Command::cargo_bin("forwardingtableclient")
        .unwrap()
        .args(arguments)
        .output()
        .unwrap()
}

async fn dumped(table: &ForwardingTable) -> (Option<i32>, String, String) {
    dumped_with(&[], table.encode_to_vec()).await
}

async fn dumped_with(options: &'static [&str], page: Vec<u8>) -> (Option<i32>, String, String) {
    let (server, _cores) = liar(page.into());
    let address = server.local_addr().to_string();
    let output = tokio::task::spawn_blocking(move || {
        client(&[&["--server-endpoint", &address], options].concat())
    });
    let output = output.await.unwrap();
    server.kill().await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code();
    (code, text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_table_without_end_is_not_read() {
    let (code, _, stderr) = dumped(&table(&["f", "g"], 1 << 63)).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("more than any router has"), "{stderr}");
    let (code, _, stderr) = dumped(&table(&["f", "g"], 50_000_000)).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("the same page"), "{stderr}");
}

#[tokio::test]
async fn an_answer_with_more_entries_than_any_router_has_is_refused_whatever_its_length() {
    // The field of an entry, and its length: it says nothing.
    let many = [(1 << 3) | 2, 0].repeat(MOST_AT_ONCE + 1);
    let (code, stdout, stderr) = dumped_with(&[], many).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("entries in one answer"), "{stderr}");
}

#[tokio::test]
async fn a_name_of_any_length_is_shown() {
    let long = "g".repeat(70_000);
    let (code, stdout, stderr) = dumped(&table(&["f", &long], 2)).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains(&long));
}

#[tokio::test]
async fn an_entry_is_one_line_whatever_its_name_and_gives_no_orders_to_a_terminal() {
    let names = ["f\nforged [1] 10.0.0.9:1 (F)", "g\x1b[2J"];
    let (code, stdout, _) = dumped_with(&["--show-owners"], table(&names, 2).encode_to_vec()).await;
    assert_eq!(code, Some(0));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{stdout}");
    assert!(lines[1].starts_with(r"f\nforged"), "{stdout}");
    assert!(lines[2].starts_with(r"g\u{1b}[2J"), "{stdout}");
    assert!(
        lines[1..].iter().all(|line| line.ends_with("10.0.0.1:1 -")),
        "{stdout}"
    );
}

#[test]
fn an_option_that_the_action_has_no_use_for_is_refused() {
    for (action, option, value) in [
        ("dump", "--weight", Some("3")),
        ("dump", "--owner", Some("me")),
        ("reset", "--destination", Some("a:1")),
        ("flush", "--lambda", Some("f")),
        ("remove", "--final", None),
        ("change", "--show-owners", None),
    ] {
        let arguments = ["--action", action, option].into_iter().chain(value);
        let output = client(&arguments.collect::<Vec<_>>());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{action} {option}: {stderr}");
        let problem = format!("{option} is for --action ");
        assert!(stderr.contains(&problem), "{action} {option}: {stderr}");
    }
}
