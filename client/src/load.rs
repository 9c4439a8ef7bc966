//! Load generation: runs a configuration and reports what became of the requests.

mod closed;
mod lane;
mod open;
mod progress;
mod requester;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use edge_daemon::lifecycle::Shutdown;
use edge_transport::quic::{self, Prefer};
use edge_transport::tls::{TlsError, TlsFiles};
use edge_transport::{ClientOptions, Cores, Scheme};
use mec_mx2::client::{ClientError, Device, Followed, Identity, Options};
use tokio_util::task::AbortOnDropHandle;

use self::lane::{Lane, Shared};
use self::requester::Work;
use crate::callback::{CallbackError, CallbackReceiver};
use crate::config::{Config, ConfigProblem};
use crate::lines::{Columns, LineWriter, OutputError};
use crate::payload::Payloads;
use crate::recorder::Recorder;
use crate::report::{Mode, Report, Tally};
use crate::workflow::StatesError;

/// How long a run that is asked to end waits for what is in flight.
pub const LAST_WAIT: Duration = Duration::from_secs(2);

/// Whether a run shows how it is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// On standard error, if that is a terminal; else the log is told when requests fail and none
    /// succeeds, and when one does again.
    Told,
    /// Not at all.
    Silent,
}

/// Why a run could not take place.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigProblem),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Results cannot be received.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// States cannot be kept where they should be.
    #[error(transparent)]
    States(#[from] StatesError),
    /// The ETSI MEC server does not say where the lambda is.
    #[error(transparent)]
    Etsi(#[from] ClientError),
    /// The token for it cannot be read.
    #[error("cannot read the token from {}", .path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Lines cannot be written anywhere: nothing was sent.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Lines could not be written to the end. Nothing else is missing.
    #[error("{source}")]
    Unwritten {
        /// Why.
        source: OutputError,
        /// What became of the requests.
        report: Box<Report>,
    },
    /// The operating system refuses threads or timers.
    #[error("cannot run the load generator")]
    System(#[from] io::Error),
}

/// Sends requests as `config` says, until it has sent them all or `shutdown`
/// is requested. It then waits for what is in flight: for as long as the
/// time-outs allow, once shutdown is requested for [`LAST_WAIT`].
///
/// # Errors
/// If the run could not take place, or its lines not be written. Requests that fail are part of
/// the report.
pub async fn run(
    config: &Config,
    shutdown: &Shutdown,
    progress: Progress,
) -> Result<Report, RunError> {
    config.validate()?;
    let tls = if config.secure {
        Some(TlsFiles::from_environment()?.client_config()?)
    } else {
        None
    };
    let options = Arc::new(ClientOptions {
        quic: quic_options(config, tls.as_ref())?,
        tls,
        ..ClientOptions::default()
    });
    let writer = LineWriter::open(config, shutdown)?;
    let callbacks = match &config.callback_endpoint {
        Some(endpoint) => Some(Arc::new(CallbackReceiver::start(endpoint)?)),
        None => None,
    };
    // Nobody minds if the delay is cut short.
    let _ = tokio::time::timeout(config.initial_delay, shutdown.requested()).await;

    let work = Work::prepare(config).await?;
    let device = match follow(config).await {
        Ok(device) => device,
        Err(error) => {
            work.stop().await;
            return Err(error);
        }
    };
    let cores = Arc::new(Cores::start("client", config.cores)?);
    options.prepare(&cores).await;
    let shared = Arc::new(Shared {
        config: config.clone(),
        name: work.name(),
        work,
        payloads: Payloads::new(config.content.as_deref(), &config.sizes),
        columns: if config.dry {
            Columns::Prediction
        } else {
            Columns::Latency
        },
        callbacks: callbacks.clone(),
        followed: device.as_ref().map(|(_, followed)| followed.clone()),
        start: Instant::now(),
        stop: shutdown.token().child_token(),
        shutdown: shutdown.clone(),
        outstanding: AtomicUsize::new(0),
    });
    let recorders: Vec<_> = cores
        .all()
        .iter()
        .map(|_| Arc::new(Recorder::new(shared.start)))
        .collect();
    let lanes: Vec<_> = cores
        .all()
        .iter()
        .zip(&recorders)
        .map(|(core, recorder)| {
            let lines = writer.as_ref().map(LineWriter::sender);
            Lane::new(&shared, core, &options, recorder.clone(), lines)
        })
        .collect();

    let (mode, end) = {
        let _telling = match progress {
            Progress::Told => Some(progress::tell(&shared, &recorders)),
            Progress::Silent => None,
        };
        generate(&shared, lanes).await?
    };
    cores.join().await;
    shared.work.stop().await;
    if let Some((device, followed)) = device {
        device.stop(&[followed]).await;
    }
    if let Some(callbacks) = callbacks {
        callbacks.stop().await;
    }
    let written = match writer {
        Some(writer) => writer.finish(patience(shutdown.clone())).await,
        None => Ok(()),
    };
    let mut tally = Tally::default();
    for recorder in &recorders {
        tally.merge(&recorder.lock());
    }
    let report = Report {
        mode,
        elapsed: end.max(tally.last_answer),
        tally,
    };
    match written {
        Ok(()) => Ok(report),
        Err(source) => Err(RunError::Unwritten {
            source,
            report: Box::new(report),
        }),
    }
}

/// Asks the ETSI MEC server, if there is one, where the lambda is.
async fn follow(config: &Config) -> Result<Option<(Device, Followed)>, RunError> {
    let Some(root) = &config.etsi.api_root else {
        return Ok(None);
    };
    let mut options = Options::new(root.clone());
    if let Some(path) = &config.etsi.token_file {
        let token = std::fs::read_to_string(path).map_err(|source| RunError::Token {
            path: path.clone(),
            source,
        })?;
        options.token = Some(token.trim().to_owned());
    }
    options.ca_file.clone_from(&config.etsi.ca_file);
    let (certificate, key) = (&config.etsi.certificate, &config.etsi.key);
    let identity = certificate.clone().zip(key.clone());
    options.identity = identity.map(|(certificate, key)| Identity { certificate, key });
    let device = Device::start(options, &config.etsi.notification_uri)?;
    match device.follow(&config.lambda).await {
        Ok(followed) => Ok(Some((device, followed))),
        Err(error) => {
            device.stop(&[]).await;
            Err(error.into())
        }
    }
}

/// Ends [`LAST_WAIT`] after the run was asked to end.
async fn patience(shutdown: Shutdown) {
    shutdown.requested().await;
    tokio::time::sleep(LAST_WAIT).await;
}

/// Runs all lanes to their end. Returns until when an open loop was sending.
async fn generate(shared: &Arc<Shared>, lanes: Vec<Lane>) -> Result<(Mode, Duration), RunError> {
    let config = &shared.config;
    let rate = config.rate;
    let tasks: Vec<_> = lanes
        .into_iter()
        .map(|lane| {
            let core = lane.core().clone();
            match rate {
                Some(rate) => core.spawn(open::send(lane, rate)),
                None => core.spawn(closed::send(lane)),
            }
        })
        .collect();
    // An open loop knows from its schedule when to stop.
    let _timer = rate.is_none().then(|| stop_after(config.duration, shared));
    let mut end = Duration::ZERO;
    for task in tasks {
        let ended = task.await.map_err(io::Error::other)?;
        end = end.max(ended?);
    }
    let clients = config.num_threads.get();
    let mode = rate.map_or(Mode::Closed { clients }, |rate| Mode::Open { rate });
    Ok((mode, end))
}

/// Stops the sending after `duration`, unless that is zero.
fn stop_after(duration: Duration, shared: &Arc<Shared>) -> Option<AbortOnDropHandle<()>> {
    let shared = shared.clone();
    let stop = async move {
        tokio::time::sleep(duration).await;
        shared.stop.cancel();
    };
    (!duration.is_zero()).then(|| AbortOnDropHandle::new(tokio::spawn(stop)))
}

/// Certificates are asked for only where QUIC is.
fn quic_options(
    config: &Config,
    tls: Option<&Arc<edge_transport::tls::ClientConfig>>,
) -> Result<quic::Options, RunError> {
    let endpoints = &config.server_endpoints;
    let wants_quic = matches!(config.client.r#type, Prefer::Quic | Prefer::H3)
        || endpoints.iter().any(|at| at.scheme() != Scheme::Unsaid);
    let mut prefer = config.client.r#type;
    let tls = match tls {
        Some(tls) => Some(tls.clone()),
        None if wants_quic => Some(for_quic()?),
        // Those of `both` do without, and ETSI's servers may name a `quic://` end-point.
        None => for_quic()
            .inspect_err(|error| {
                if prefer == Prefer::Both {
                    tracing::warn!("{error}; requests go over TCP alone");
                    prefer = Prefer::Grpc;
                }
            })
            .ok(),
    };
    Ok(quic::Options {
        tls,
        prefer,
        attempt_early_data: config.client.attempt_early_data,
        congestion: config.client.congestion,
        ..quic::Options::default()
    })
}

fn for_quic() -> Result<Arc<edge_transport::tls::ClientConfig>, TlsError> {
    let files = TlsFiles::from_environment();
    files
        .and_then(|files| files.client_config())
        .map_err(TlsError::for_quic)
}
