//! A computer whose lambda takes no time, in a process of its own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use edge_proto::OK;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_proto::view::RequestView;
use edge_transport::{
    Core, Cores, Endpoint, LambdaCall, LambdaReply, LambdaService, Listener, Peer, Server,
};
use prost::Message as _;
use tonic::Status;
use tonic::service::Routes;

/// Options of the echo computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Where to serve
    #[arg(long)]
    endpoint: Endpoint,
    /// Bytes of output
    #[arg(long, default_value_t = 0)]
    output: usize,
}

#[derive(Debug)]
struct Echo {
    /// Everything but the hops, which differ from request to request.
    answer: LambdaResponse,
}

impl LambdaService for Echo {
    async fn run(&self, _: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let hops = RequestView::parse(&call.message).map_or(0, |view| view.hops);
        let answer = LambdaResponse {
            hops: hops + 1,
            ..self.answer.clone()
        };
        let message = Bytes::from(answer.encode_to_vec());
        Ok(LambdaReply {
            message,
            trailers: edge_transport::Metadata::new(),
        })
    }
}

/// Serves until it is killed or its standard input ends.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let listener = Listener::bind(&flags.endpoint)?;
    let cores = Arc::new(Cores::start("echo", NonZeroUsize::MIN)?);
    let answer = LambdaResponse {
        retcode: OK.to_owned(),
        output: "A".repeat(flags.output),
        outcome: Outcome::Ok as i32,
        ..LambdaResponse::default()
    };
    let echo = Arc::new(Echo { answer });
    let server = Server::new(Routes::default())
        .with_lambda(echo)
        .serve(listener, &cores);
    println!("{}", server.local_addr());
    // The parent holds the other end: it cannot leave us behind.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    Ok(())
}
