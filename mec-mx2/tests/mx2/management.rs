//! Management over gRPC: the calls of the C++ reference, ours, and the line commands.

use edge_proto::etsimec::ue_app_lcm_proxy_client::UeAppLcmProxyClient;
use edge_proto::etsimec::{AddressTuple, Lambda, Void};
use edge_proto::mx2::WatchContextsRequest;
use edge_proto::mx2::context_event::Kind;
use edge_proto::mx2::mx2_client::Mx2Client;
use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};
use mec_mx2::Handle;
use mec_mx2::commands::{Answer, Commands};
use tonic::Code;

use crate::support::{PATIENCE, create, server};

fn channel(handle: &Handle) -> Channel {
    control::channel(&Endpoint::from(handle.management_address()), None, PATIENCE)
}

fn tuple(client: &str, app: &str, server: &str) -> AddressTuple {
    AddressTuple {
        client: client.to_owned(),
        app_name: app.to_owned(),
        server: server.to_owned(),
    }
}

#[tokio::test]
async fn the_table_goes_round_and_faults_have_no_effect() {
    let server = server(|_| {}).await;
    let mut proxy = UeAppLcmProxyClient::new(channel(&server));
    for row in [
        tuple("c", "a", "h:1"),
        tuple("", "a", "h:2"),
        tuple("c", "b", "h:3"),
        tuple("c", "a", "h:4"),
    ] {
        proxy.associate_address(row).await.unwrap();
    }
    let expected = [
        tuple("", "a", "h:2"),
        tuple("c", "a", "h:4"),
        tuple("c", "b", "h:3"),
    ];
    // Another client sees the same.
    let mut other = UeAppLcmProxyClient::new(channel(&server));
    assert_eq!(
        other.table(Void {}).await.unwrap().into_inner().table,
        expected
    );
    for wrong in [
        tuple("c", "", "h:1"),
        tuple("c", "a", ""),
        tuple("c", "a", "h h"),
    ] {
        let code = proxy.associate_address(wrong).await.unwrap_err().code();
        assert_eq!(code, Code::InvalidArgument);
    }
    for wrong in [tuple("c", "", ""), tuple("c", "a", "h:1")] {
        let code = proxy.remove_address(wrong).await.unwrap_err().code();
        assert_eq!(code, Code::InvalidArgument);
    }
    assert_eq!(
        proxy.table(Void {}).await.unwrap().into_inner().table,
        expected
    );
    proxy.remove_address(tuple("c", "b", "")).await.unwrap();
    proxy.remove_address(tuple("c", "b", "")).await.unwrap();
    assert_eq!(
        proxy.table(Void {}).await.unwrap().into_inner().table,
        expected[..2]
    );
}

#[tokio::test]
async fn applications_and_contexts_are_managed_as_the_reference_does() {
    let server = server(|_| {}).await;
    let mut proxy = UeAppLcmProxyClient::new(channel(&server));
    let lambda = || Lambda {
        value: "clambda0".to_owned(),
    };
    proxy.add_lambda(lambda()).await.unwrap();
    proxy
        .associate_address(tuple("", "clambda0", "h:1"))
        .await
        .unwrap();
    create(&server, "http://127.0.0.1:1/").await;
    assert_eq!(
        proxy
            .num_contexts(Void {})
            .await
            .unwrap()
            .into_inner()
            .value,
        1
    );
    let contexts = proxy.contexts(Void {}).await.unwrap().into_inner().contexts;
    let row = &contexts[0];
    assert_eq!(
        (
            row.address.as_str(),
            row.app_name.as_str(),
            row.edge_router.as_str()
        ),
        ("127.0.0.1", "clambda0", "h:1")
    );
    proxy.del_lambda(lambda()).await.unwrap();
    assert_eq!(server.state().apps(), []);
    assert_eq!(server.state().num_contexts(), 1);
    let long = Lambda {
        value: "x".repeat(33),
    };
    assert_eq!(
        proxy.add_lambda(long).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn watchers_see_contexts_come_move_and_go() {
    let server = server(|_| {}).await;
    crate::support::serve(&server);
    let first = create(&server, "http://127.0.0.1:1/").await;
    let channel = control::streaming_channel(&Endpoint::from(server.management_address()), None);
    let request = WatchContextsRequest { once: false };
    let mut events = Mx2Client::new(channel)
        .watch_contexts(request)
        .await
        .unwrap()
        .into_inner();
    let mut next = async || events.message().await.unwrap().unwrap();
    let event = next().await;
    assert_eq!(
        (event.kind(), event.context_id),
        (Kind::Present, first.clone())
    );
    assert_eq!(next().await.kind(), Kind::Current);
    server.state().associate("", "clambda0", "h:2").unwrap();
    let event = next().await;
    assert_eq!(
        (event.kind(), event.endpoint.as_str()),
        (Kind::Present, "h:2")
    );
    server.state().withdraw(&first);
    loop {
        // Its notification may have been given up before.
        let event = next().await;
        if event.kind() == Kind::Gone {
            assert_eq!(event.context_id, first);
            break;
        }
    }
}

#[tokio::test]
async fn line_commands_answer_as_those_of_the_reference() {
    let server = server(|_| {}).await;
    let mut commands = Commands::new(channel(&server));
    for (line, answer) in [
        ("", None),
        ("table", None),
        ("num-contexts", Some("0")),
        ("add-lambda clambda0", Some("OK")),
        ("associate * clambda0 h:1", Some("OK")),
        ("associate 10.0.0.1 clambda0 h:2", Some("OK")),
        ("table", Some("* clambda0 h:1\n10.0.0.1 clambda0 h:2")),
        ("remove 10.0.0.1 clambda0", Some("OK")),
        ("table", Some("* clambda0 h:1")),
        ("apps", Some("clambda0 OpenLambdaMec 1.0 0")),
        ("locate h:1 {\"countryCode\": \"IT\"}", Some("OK")),
        ("locate h:1 -", Some("OK")),
        ("contexts", None),
        ("watch", None),
        ("associate 1", Some("Invalid command")),
        ("nonsense", Some("Invalid command")),
    ] {
        let expected = answer.map_or(Answer::Silence, |text| Answer::Text(text.to_owned()));
        assert_eq!(commands.run(line).await, expected, "{line}");
    }
    let id = create(&server, "http://127.0.0.1:1/").await;
    assert_eq!(
        commands.run("contexts").await,
        Answer::Text("127.0.0.1 clambda0 h:1".to_owned())
    );
    assert_eq!(
        commands.run(&format!("delete {id}")).await,
        Answer::Text("OK".to_owned())
    );
    let Answer::Failure(error) = commands.run("delete x").await else {
        panic!()
    };
    assert!(error.contains("no such context"), "{error}");
    assert_eq!(commands.run("quit").await, Answer::Quit);
}
