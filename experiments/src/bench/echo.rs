//! A computer whose lambda takes no time, or a given one, in a process of its own.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use edge_proto::OK;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_proto::view::RequestView;
use edge_transport::quic::Congestion;
use edge_transport::{
    Core, Cores, Endpoint, LambdaCall, LambdaReply, LambdaService, Limits, Listener, Listens,
    Metadata, Peer, Server,
};
use prost::Message as _;
use tonic::Status;
use tonic::service::Routes;

use super::certificates;

/// Options of the echo computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Where to serve
    #[arg(long)]
    endpoint: Endpoint,
    /// How long each request takes, in milliseconds; it does not use the CPU meanwhile
    #[arg(long, default_value_t = 0.0)]
    service_ms: f64,
    /// Encrypt, with the certificates in this folder, and serve QUIC, too
    #[arg(long)]
    certificates: Option<PathBuf>,
}

/// Answers with as many bytes as it was given.
#[derive(Debug)]
struct Echo {
    service: Duration,
    /// Answers by length of the output and hops: building them is not what is measured.
    answers: Mutex<HashMap<(usize, u32), Bytes>>,
}

impl Echo {
    fn answer(&self, length: usize, hops: u32) -> Bytes {
        const MOST: usize = 64;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers.get(&(length, hops)) {
            return answer.clone();
        }
        let answer = LambdaResponse {
            retcode: OK.to_owned(),
            output: "A".repeat(length),
            outcome: Outcome::Ok as i32,
            hops: hops + 1,
            ..LambdaResponse::default()
        };
        let answer = Bytes::from(answer.encode_to_vec());
        if answers.len() < MOST {
            answers.insert((length, hops), answer.clone());
        }
        answer
    }
}

impl LambdaService for Echo {
    async fn run(&self, _: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let asked = RequestView::parse(&call.message)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let message = self.answer(asked.input_bytes, asked.hops);
        if !self.service.is_zero() {
            tokio::time::sleep(self.service).await;
        }
        Ok(LambdaReply {
            message,
            trailers: Metadata::new(),
        })
    }
}

/// Serves until it is killed or its standard input ends.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let listens = match flags.certificates {
        Some(_) => Listens::Both,
        None => Listens::Tcp,
    };
    let listener = Listener::bind_for(&flags.endpoint, listens)?;
    let cores = Arc::new(Cores::start("echo", NonZeroUsize::MIN)?);
    let echo = Arc::new(Echo {
        service: Duration::try_from_secs_f64(flags.service_ms / 1e3)?,
        answers: Mutex::default(),
    });
    let tls = flags.certificates.as_deref().map(|folder| {
        certificates::files(folder)?
            .server_config()
            .map_err(anyhow::Error::from)
    });
    let tls = tls.transpose()?;
    // One for each of the 10,000 destinations that it may be, and some.
    let limits = Limits {
        max_connections: 20_000,
        ..Limits::default()
    };
    let server = Server::new(Routes::default())
        .with_lambda(echo)
        .with_tls(tls.clone())
        .with_quic(tls, Congestion::default())
        .with_limits(limits)
        .serve(listener, &cores);
    println!("{}", server.local_addr());
    // The parent holds the other end: it cannot leave us behind.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    Ok(())
}
