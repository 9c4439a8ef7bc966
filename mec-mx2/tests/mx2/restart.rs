//! A restart loses no context and nothing that device applications have yet to be told.

use std::path::Path;

use mec_mx2::{Handle, Server};
use serde_json::Value;

use crate::support::{Always, Receiver, ask, create, eventually, serve, server};

async fn with_state(folder: &Path) -> Handle {
    server(|config| config.state.folder = Some(folder.to_owned())).await
}

#[tokio::test]
async fn contexts_survive_a_process_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let device = Receiver::start(Always(204));
    let first = with_state(folder.path()).await;
    serve(&first);
    let kept = create(&first, &device.uri("kept")).await;
    let gone = create(&first, &device.uri("gone")).await;
    ask(
        &first,
        "DELETE",
        &format!("/dev_app/v1/app_contexts/{gone}"),
        &Value::Null,
    )
    .await;
    first.state().associate("", "clambda0", "h:1").unwrap();
    device.wait("kept", 1).await;
    eventually("the context knows", || {
        first.state().contexts()[0].state == "ready"
    })
    .await;
    first.kill().await;

    for round in 2..4 {
        let again = with_state(folder.path()).await;
        let contexts = again.state().contexts();
        assert_eq!(contexts.len(), 1);
        assert_eq!(contexts[0].id.to_string(), kept);
        assert_eq!(again.state().routes().len(), 1);
        assert_eq!(again.state().apps().len(), 1);
        // It knows where it is, and is told when that changes.
        again
            .state()
            .associate("", "clambda0", &format!("h:{round}"))
            .unwrap();
        let told = device.wait("kept", round).await;
        assert_eq!(told.len(), round);
        assert_eq!(told[round - 1]["referenceURI"], format!("grpc://h:{round}"));
        eventually("the context knows", || {
            again.state().contexts()[0].state == "ready"
        })
        .await;
        again.kill().await;
    }
}

#[tokio::test]
async fn what_could_not_be_told_before_is_told_after() {
    let folder = tempfile::tempdir().unwrap();
    let device = Receiver::start(Always(503));
    let first = with_state(folder.path()).await;
    serve(&first);
    create(&first, &device.uri("d")).await;
    first.state().associate("", "clambda0", "h:1").unwrap();
    device.wait("d", 1).await;
    first.kill().await;
    let before = device.heard().len();
    device.answer(Always(204));
    let again = with_state(folder.path()).await;
    let told = device.wait("d", before + 1).await;
    assert_eq!(told[before]["referenceURI"], "grpc://h:1");
    eventually("it is told once", || {
        again.state().contexts()[0].state == "ready"
    })
    .await;
    again.kill().await;
}

#[tokio::test]
async fn routes_of_a_file_count_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let routes = folder.path().join("routes");
    let state = folder.path().join("state");
    let device = Receiver::start(Always(204));
    let start = async |server: &str| {
        std::fs::write(&routes, format!("* clambda0 {server}")).unwrap();
        let (state, routes) = (state.clone(), routes.clone());
        crate::support::server(|config| {
            config.state.folder = Some(state);
            config.routes.file = Some(routes);
        })
        .await
    };
    let first = start("h:1").await;
    create(&first, &device.uri("d")).await;
    first.kill().await;
    let again = start("h:2").await;
    assert_eq!(device.wait("d", 1).await[0]["referenceURI"], "grpc://h:2");
    again.kill().await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = with_state(folder.path()).await;
    let mut config = crate::support::config();
    config.state.folder = Some(folder.path().to_owned());
    let second = Server::start(config.clone()).await.unwrap_err();
    assert!(
        second.to_string().contains("another process uses it"),
        "{second}"
    );
    first.kill().await;
    Server::start(config).await.unwrap().kill().await;
}

#[tokio::test]
async fn a_line_that_was_cut_off_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = with_state(folder.path()).await;
    serve(&first);
    create(&first, "http://127.0.0.1:1/").await;
    first.kill().await;
    let log = std::fs::read_dir(folder.path()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("log.")
            .then_some(path)
    });
    let mut text = std::fs::read(log.as_ref().unwrap()).unwrap();
    text.extend_from_slice(b"{\"context\": \"0123");
    std::fs::write(log.unwrap(), text).unwrap();
    let again = with_state(folder.path()).await;
    assert_eq!(again.state().num_contexts(), 1);
    again.kill().await;
}
