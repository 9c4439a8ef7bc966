//! The device's side: follows addresses, whichever interface the server has, and gets a lost
//! context again.

use mec_mx2::client::{ClientError, Device, Options, app_list};
use mec_mx2::model::{Profile, Reference};
use mec_mx2::{ApiRoot, Handle};

use crate::support::{PATIENCE, eventually, server, serving};

fn device(server: &Handle) -> Device {
    let here: ApiRoot = "http://127.0.0.1:0/notify".parse().unwrap();
    Device::start(Options::new(server.root().clone()), &here).unwrap()
}

fn reference(text: &str) -> Option<Reference> {
    Reference::parse(text)
}

#[tokio::test]
async fn a_device_follows_its_application_and_leaves() {
    let server = serving().await;
    let device = device(&server);
    let followed = device.follow("clambda0").await.unwrap();
    assert_eq!(followed.reference(), reference("grpc://127.0.0.1:10000"));
    server.state().associate("", "clambda0", "h:2").unwrap();
    let first = reference("grpc://127.0.0.1:10000");
    let other = tokio::time::timeout(PATIENCE, followed.other(first.as_ref()));
    assert_eq!(other.await.unwrap(), reference("grpc://h:2"));
    device.stop(&[followed]).await;
    assert_eq!(server.state().num_contexts(), 0);
}

#[tokio::test]
async fn the_older_interface_is_followed_as_well() {
    let server = serving().await;
    let device = device(&server);
    let (profile, apps) = app_list(&Options::new(server.root().clone()))
        .await
        .unwrap();
    assert_eq!(profile, Profile::Standard);
    let followed = device.follow_app(&apps[0], Profile::Legacy).await.unwrap();
    assert_eq!(followed.reference(), reference("127.0.0.1:10000"));
    server.state().associate("", "clambda0", "h:2").unwrap();
    eventually("the new address", || {
        followed.reference() == reference("h:2")
    })
    .await;
    device.stop(&[followed]).await;
    assert_eq!(server.state().num_contexts(), 0);
}

#[tokio::test]
async fn a_context_that_was_deleted_is_asked_for_again() {
    let server = serving().await;
    let device = device(&server);
    let followed = device.follow("clambda0").await.unwrap();
    let first = server.state().contexts()[0].id;
    server.state().withdraw(&first.to_string());
    eventually("another context", || {
        server
            .state()
            .contexts()
            .first()
            .is_some_and(|c| c.id != first)
    })
    .await;
    server.state().associate("", "clambda0", "h:3").unwrap();
    eventually("the new address", || {
        followed.reference() == reference("grpc://h:3")
    })
    .await;
    device.stop(&[followed]).await;
    assert_eq!(server.state().num_contexts(), 0);
}

#[tokio::test]
async fn a_context_that_was_lost_with_its_server_is_asked_for_again_when_in_doubt() {
    let first = serving().await;
    let root = first.root().clone();
    let device = device(&first);
    let followed = device.follow("clambda0").await.unwrap();
    first.kill().await;
    let second = server(|config| config.api.root = root).await;
    crate::support::serve(&second);
    second.state().associate("", "clambda0", "h:9").unwrap();
    followed.doubt();
    eventually("the new address", || {
        followed.reference() == reference("grpc://h:9")
    })
    .await;
    device.stop(&[followed]).await;
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let server = serving().await;
    let device = device(&server);
    assert!(matches!(
        device.follow("other").await,
        Err(ClientError::NoApp { .. })
    ));
    server.state().dissociate("", "clambda0");
    assert!(matches!(
        device.follow("clambda0").await,
        Err(ClientError::Refused { .. })
    ));
    server.kill().await;
    assert!(matches!(
        device.follow("clambda0").await,
        Err(ClientError::Unreachable { .. })
    ));
    device.stop(&[]).await;
}
