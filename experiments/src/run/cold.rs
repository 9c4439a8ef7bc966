//! `lab run quic-cold`: what the first call to a destination takes, in round trips.
//!
//! A client that has no connection calls once, and is forgotten. TCP needs a round trip, TLS another
//! one, and QUIC one for both; with early data, to a destination that is known from an earlier
//! connection, the request leaves with the first packet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, UsageError, signals};
use edge_proto::rpc::LambdaRequest;
use edge_proto::view::ResponseView;
use edge_transport::quic::Prefer;
use edge_transport::{ClientOptions, Core, Endpoint, LambdaCall, LambdaClient, Metadata, quic};
use prost::Message as _;
use serde::Serialize;

use super::campaign;
use super::cell;
use super::mode::Mode;
use super::scene::{LAMBDA, Load, Programs};
use super::table::number;
use crate::bench::certificates;
use crate::bench::percentile::{percentile_ms, sorted};
use crate::fabric::doctor::Backend;
use crate::impair::quality::Quality;

/// Options of the experiment.
#[derive(Debug, Args)]
pub(crate) struct Cold {
    /// First calls of each kind
    #[arg(long, default_value_t = 30)]
    calls: usize,
    /// Round trip of the path, in milliseconds
    #[arg(long, default_value_t = 100.0)]
    round_trip_ms: f64,
    /// What the link is made of [default: the packet fabric, if it works here]
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Folder with edgecomputer, edgerouter and edgeclient [default: those built with this program,
    /// built now if need be]
    #[arg(long, value_name = "FOLDER")]
    programs: Option<std::path::PathBuf>,
    /// Five calls of each kind
    #[arg(long)]
    quick: bool,
    /// Print one JSON object per kind
    #[arg(long)]
    json: bool,
}

/// What came out for one kind of connection.
#[derive(Debug, Serialize)]
struct Row {
    experiment: &'static str,
    mode: Mode,
    backend: Backend,
    calls: usize,
    p50_ms: f64,
    p90_ms: f64,
    /// On a connection that is there, the median.
    warm_ms: f64,
    /// What a first call takes longer than one on a connection that is there, by the round trip of
    /// the path.
    extra_round_trips: f64,
}

/// Measures and prints.
pub(super) async fn run(flags: &Cold) -> anyhow::Result<()> {
    let check = |holds: bool, problem: &str| {
        holds
            .then_some(())
            .ok_or_else(|| UsageError(problem.to_owned()))
    };
    check(
        (1..=10_000).contains(&flags.calls),
        "--calls takes 1 to 10000",
    )?;
    let range = (1.0..=2000.0).contains(&flags.round_trip_ms);
    check(range, "--round-trip-ms takes 1 to 2000")?;
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let backend = campaign::backend(flags.backend).await?;
    let programs = campaign::programs(flags.programs.as_deref())?;
    if !flags.json {
        println!(
            "first calls over a path with a round trip of {} ms\n{:>9} {:>8} {:>8} {:>8} {:>18}",
            flags.round_trip_ms, "mode", "p50 ms", "p90 ms", "warm ms", "extra round trips"
        );
    }
    for mode in [Mode::Grpc, Mode::GrpcTls, Mode::Quic, Mode::Quic0Rtt] {
        let row = tokio::select! {
            row = measure(flags, mode, backend, &programs) => row.with_context(|| mode.name())?,
            reason = shutdown.requested() => return Err(Interrupted(reason).into()),
        };
        if flags.json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            let cells = [row.p50_ms, row.p90_ms, row.warm_ms].map(|ms| number(Some(ms)));
            let [p50, p90, warm] = cells;
            println!(
                "{:>9} {p50:>8} {p90:>8} {warm:>8} {:>18.2}",
                mode.name(),
                row.extra_round_trips
            );
        }
    }
    Ok(())
}

async fn measure(
    flags: &Cold,
    mode: Mode,
    backend: Backend,
    programs: &Programs,
) -> anyhow::Result<Row> {
    let calls = if flags.quick { 5 } else { flags.calls };
    let each_way = Duration::from_secs_f64(flags.round_trip_ms / 2e3);
    let path = Quality {
        delay: each_way,
        ..Quality::default()
    };
    let load = Load {
        in_flight: 1,
        every: Duration::ZERO,
        bytes: 1000,
        warm_up: Duration::ZERO,
        length: Duration::ZERO,
    };
    let scene = cell::path_scene(path, mode, load, 1);
    let mut stage = scene.set(backend, programs).await?;
    let client = scene.clients[0];
    let place = stage.way(client, mode).await?;
    let tls = mode
        .is_secure()
        .then(|| certificates::files(stage.folder())?.client_config())
        .transpose()?;
    let asking = stage
        .host(client.node)?
        .run_beside(move || ask(mode, &place, tls, calls));
    let (cold, warm) = asking.await??;
    let warm_ms = percentile_ms(&warm, 0.5);
    let p50_ms = percentile_ms(&cold, 0.5);
    Ok(Row {
        experiment: "quic-cold",
        mode,
        backend,
        calls,
        p50_ms,
        p90_ms: percentile_ms(&cold, 0.9),
        warm_ms,
        extra_round_trips: (p50_ms - warm_ms) / flags.round_trip_ms,
    })
}

/// Latencies of first calls, and of second ones, sorted.
type Latencies = (Vec<Duration>, Vec<Duration>);

/// Calls from the host that it is run on.
fn ask(
    mode: Mode,
    place: &Endpoint,
    tls: Option<Arc<edge_transport::tls::ClientConfig>>,
    calls: usize,
) -> anyhow::Result<Latencies> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = Arc::new(ClientOptions {
            quic: quic::Options {
                tls: tls.clone(),
                prefer: if mode.is_quic() {
                    Prefer::Quic
                } else {
                    Prefer::Grpc
                },
                attempt_early_data: mode == Mode::Quic0Rtt,
                ..quic::Options::default()
            },
            tls,
            ..ClientOptions::default()
        });
        let fresh = || LambdaClient::new(Core::current(), options.clone());
        let mut client = fresh();
        if mode == Mode::Quic0Rtt {
            // Makes the destination known.
            call(&client, place).await?;
        }
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for _ in 0..calls {
            if mode == Mode::Quic0Rtt {
                client.hang_up();
            } else {
                client = fresh();
            }
            cold.push(call(&client, place).await?);
            warm.push(call(&client, place).await?);
        }
        Ok((sorted(cold.into_iter()), sorted(warm.into_iter())))
    })
}

async fn call(client: &LambdaClient, place: &Endpoint) -> anyhow::Result<Duration> {
    const PATIENCE: Duration = Duration::from_secs(20);
    const BYTES: usize = 1000;
    let request = LambdaRequest {
        idempotent: true,
        ..LambdaRequest::new(LAMBDA, "A".repeat(BYTES))
    };
    let call = LambdaCall {
        message: Bytes::from(request.encode_to_vec()),
        metadata: Metadata::new(),
        deadline: Instant::now() + PATIENCE,
    };
    let sent = Instant::now();
    let reply = client.call(place, &call).await?;
    let took = sent.elapsed();
    let view = ResponseView::parse(&reply.message)?;
    anyhow::ensure!(view.is_ok(), "the answer is '{}'", view.retcode);
    Ok(took)
}
