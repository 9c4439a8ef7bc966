//! A computer and a client on both sides of a router that runs elsewhere, for
//! `ci/count_instructions.py`: `passing LAMBDA_ENDPOINT TABLE_ENDPOINT BYTES BURST BURSTS`.
//!
//! Requests come in bursts, each of which is answered before the next one leaves, so that a router
//! does the same work whenever it is run, however slowly.
//!
//! With `CERT_DIR` they are encrypted on both sides of the router, over QUIC if the end-point says so.
//! `passing certificates FOLDER` writes what that takes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use edge_proto::OK;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, LambdaRequest, LambdaResponse, Outcome};
use edge_proto::view::ResponseView;
use edge_transport::quic::{self, Congestion};
use edge_transport::tls::TlsFiles;
use edge_transport::{
    ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaReply, LambdaService,
    Listener, Listens, Metadata, Peer, Scheme, Server, control,
};
use futures_util::future::try_join_all;
use prost::Message as _;
use tonic::Status;
use tonic::service::Routes;

#[path = "../../transport/tests/suite/support/certificates.rs"]
#[expect(clippy::unwrap_used, reason = "tests share it")]
mod certificates;

const LAMBDA: &str = "counted";
/// For each step; the router may run a hundred times slower than usual.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives the same answer to everything.
#[derive(Debug)]
struct Same(Bytes);

impl LambdaService for Same {
    async fn run(&self, _: &Core, _: Peer, _: LambdaCall) -> Result<LambdaReply, Status> {
        Ok(LambdaReply {
            message: self.0.clone(),
            trailers: Metadata::new(),
        })
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [what, folder] = &arguments[..]
        && what == "certificates"
    {
        certificates::certificates(folder.as_ref(), &["127.0.0.1"]);
        return Ok(());
    }
    let [lambda, tables, bytes, burst, bursts] = &arguments[..] else {
        anyhow::bail!("usage: passing LAMBDA_ENDPOINT TABLE_ENDPOINT BYTES BURST BURSTS");
    };
    let load = Load {
        router: lambda.parse()?,
        bytes: bytes.parse()?,
        burst: burst.parse()?,
        bursts: bursts.parse()?,
        tls: std::env::var_os("CERT_DIR")
            .map(|_| TlsFiles::from_environment())
            .transpose()?,
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(pass(&load, &tables.parse()?))
}

/// What is sent through the router.
struct Load {
    router: Endpoint,
    bytes: usize,
    burst: usize,
    bursts: usize,
    /// None: nothing is encrypted.
    tls: Option<TlsFiles>,
}

async fn pass(load: &Load, tables: &Endpoint) -> anyhow::Result<()> {
    let answer = LambdaResponse {
        retcode: OK.to_owned(),
        output: "A".repeat(load.bytes),
        outcome: Outcome::Ok as i32,
        hops: 2,
        ..LambdaResponse::default()
    };
    let scheme = load.router.scheme();
    let listens = match scheme {
        Scheme::Unsaid => Listens::Tcp,
        Scheme::Quic | Scheme::H3 => Listens::Udp,
    };
    let tls = load.tls.as_ref().map(TlsFiles::server_config).transpose()?;
    let listener = Listener::bind_for(&Endpoint::new("127.0.0.1", 0), listens)?;
    let cores = Arc::new(Cores::start("computer", NonZeroUsize::MIN)?);
    let computer = Server::new(Routes::default())
        .with_lambda(Arc::new(Same(answer.encode_to_vec().into())))
        .with_tls(tls.clone())
        .with_quic(tls, Congestion::default())
        .serve(listener, &cores);
    let address = Endpoint::from(computer.local_addr());
    let route = EdgeRouterConf {
        action: Action::Change as i32,
        lambda: LAMBDA.to_owned(),
        destination: address.with_scheme(scheme).to_string(),
        weight: 1.0,
        r#final: true,
        ..EdgeRouterConf::default()
    };
    let mut tables = EdgeRouterClient::new(control::channel(tables, None, PATIENCE));
    let done = tables.configure(route).await?.into_inner();
    anyhow::ensure!(done.msg == "OK", "the route was refused: {}", done.msg);

    let tls = load.tls.as_ref().map(TlsFiles::client_config).transpose()?;
    let options = ClientOptions {
        quic: quic::Options {
            tls: tls.clone(),
            ..quic::Options::default()
        },
        tls,
        connect_timeout: PATIENCE,
        ..ClientOptions::default()
    };
    let client = LambdaClient::new(Core::current(), Arc::new(options));
    let request = LambdaRequest::new(LAMBDA, "A".repeat(load.bytes));
    let request = Bytes::from(request.encode_to_vec());
    for _ in 0..load.bursts {
        let calls = (0..load.burst).map(|_| ask(&client, &load.router, &request));
        try_join_all(calls).await.context("a request failed")?;
    }
    cores.join().await;
    Ok(())
}

async fn ask(client: &LambdaClient, router: &Endpoint, request: &Bytes) -> anyhow::Result<()> {
    let call = LambdaCall {
        message: request.clone(),
        metadata: Metadata::new(),
        deadline: Instant::now() + PATIENCE,
    };
    let reply = client.call(router, &call).await?;
    let view = ResponseView::parse(&reply.message)?;
    anyhow::ensure!(view.is_ok(), "the answer is '{}'", view.retcode);
    Ok(())
}
