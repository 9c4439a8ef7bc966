//! Actions come and go while others stay.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use edge_computer::executor::Executor as _;
use edge_proto::rpc::edge_controller_server::{EdgeController, EdgeControllerServer};
use edge_proto::rpc::{ComputerInfo, RouterInfo, Void};
use edge_transport::{Cores, Listener, Server};
use serde_json::{Value, json};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::support::{Api, ECHO, ask, computer, eventually, fronting, platform, serves};

/// A controller that remembers what it is told.
#[derive(Clone, Default)]
struct Controller {
    announced: Arc<Mutex<Vec<ComputerInfo>>>,
    removed: Arc<Mutex<usize>>,
}

#[tonic::async_trait]
impl EdgeController for Controller {
    async fn announce_computer(
        &self,
        info: Request<ComputerInfo>,
    ) -> Result<Response<Void>, Status> {
        self.announced.lock().unwrap().push(info.into_inner());
        Ok(Response::new(Void::default()))
    }

    async fn announce_router(&self, _: Request<RouterInfo>) -> Result<Response<Void>, Status> {
        Ok(Response::new(Void::default()))
    }

    async fn remove_computer(&self, _: Request<ComputerInfo>) -> Result<Response<Void>, Status> {
        *self.removed.lock().unwrap() += 1;
        Ok(Response::new(Void::default()))
    }
}

fn lambdas(info: &ComputerInfo) -> BTreeSet<String> {
    info.containers
        .iter()
        .map(|container| container.lambda.clone())
        .collect()
}

#[tokio::test]
async fn an_action_that_comes_or_goes_is_announced_without_a_gap_for_the_others() {
    let controller = Controller::default();
    let cores = Arc::new(Cores::start("fake", NonZeroUsize::MIN).unwrap());
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let routes = Routes::new(EdgeControllerServer::new(controller.clone()));
    let server = Server::new(routes).serve(listener, &cores);
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    api.put("stays", ECHO).await;
    let toml = fronting(&platform, "");
    let computer = computer(&format!(
        "controller = {{ endpoint = '{}' }}\n{toml}",
        server.local_addr()
    ))
    .await;
    let last = || {
        controller
            .announced
            .lock()
            .unwrap()
            .last()
            .map(lambdas)
            .unwrap_or_default()
    };
    eventually("it is announced", || last().contains("stays")).await;
    api.put("comes", ECHO).await;
    eventually("it comes", || {
        last().contains("comes") && last().contains("/guest/comes")
    })
    .await;
    assert!(ask(&computer, "comes", "").await.is_ok());
    let (status, _) = api
        .call("DELETE", "namespaces/_/actions/comes", &Value::Null)
        .await;
    assert_eq!(status, 200);
    eventually("it goes", || !last().contains("comes")).await;
    {
        let all = controller.announced.lock().unwrap();
        let since = all
            .iter()
            .skip_while(|info| !lambdas(info).contains("stays"));
        let mut generation = 0;
        for info in since {
            assert!(lambdas(info).contains("stays") && lambdas(info).contains("/guest/stays"));
            assert!(info.lease_ms > 0 && info.generation >= generation);
            generation = info.generation;
        }
        assert_eq!(*controller.removed.lock().unwrap(), 0);
    }
    computer.shutdown(super::support::PATIENCE).await;
    assert_eq!(*controller.removed.lock().unwrap(), 1);
    platform.stop().await;
}

#[tokio::test]
async fn more_than_200_actions_are_all_announced() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    for index in 0..450 {
        api.put(&format!("action{index}"), ECHO).await;
    }
    let computer = computer(&fronting(&platform, "")).await;
    let all = || computer.executor().containers().len() == 900;
    eventually("all are announced by both names", all).await;
    assert!(ask(&computer, "action0", "").await.is_ok());
    assert!(ask(&computer, "/guest/action449", "").await.is_ok());
    platform.stop().await;
}

#[tokio::test]
async fn another_version_or_limit_of_an_action_is_a_change() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    api.put("f", ECHO).await;
    let computer = computer(&fronting(&platform, "")).await;
    serves(&computer, "f").await;
    let mut changes = computer.executor().changes();
    changes.mark_unchanged();
    let limits = json!({ "limits": { "timeout": 1000 } });
    let path = "namespaces/_/actions/f?overwrite=true";
    assert_eq!(api.call("PUT", path, &limits).await.0, 200);
    eventually("it is noticed", || changes.has_changed().unwrap()).await;
    platform.stop().await;
}
