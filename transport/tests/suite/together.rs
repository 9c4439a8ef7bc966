//! Calls that arrive together are shown to the service before the first of them runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::{call, client, cores, localhost};
use edge_proto::rpc::LambdaRequest;
use edge_transport::{
    ClientOptions, Core, Endpoint, LambdaCall, LambdaReply, LambdaService, Metadata, Peer, Server,
};
use futures_util::future::join_all;
use tonic::Status;
use tonic::service::Routes;

/// Counts calls that it was shown and calls that it has run.
#[derive(Debug, Default)]
struct Shown {
    together: AtomicUsize,
    run: AtomicUsize,
}

impl LambdaService for Shown {
    async fn run(&self, _: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        self.run.fetch_add(1, Ordering::SeqCst);
        Ok(LambdaReply {
            message: call.message,
            trailers: Metadata::new(),
        })
    }

    fn came_together<'a>(&self, calls: impl Iterator<Item = &'a LambdaCall>) {
        self.together.fetch_add(calls.count(), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn calls_of_one_write_are_shown_together_and_one_alone_is_not() {
    const CALLS: usize = 32;
    let cores = cores(1);
    let shown = Arc::new(Shown::default());
    let server = Server::new(Routes::default())
        .with_lambda(shown.clone())
        .serve(localhost(), &cores);
    let endpoint = Endpoint::from(server.local_addr());
    let client = client(ClientOptions::default());
    let request = call(&LambdaRequest::new("any", "x"));
    client.call(&endpoint, &request).await.expect("answered");
    assert_eq!(shown.together.load(Ordering::SeqCst), 0);
    // On one thread, all of them are sent before the connection writes anything.
    let answers = join_all((0..CALLS).map(|_| client.call(&endpoint, &request))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(shown.run.load(Ordering::SeqCst), 1 + CALLS);
    assert!(shown.together.load(Ordering::SeqCst) >= 2);
}
