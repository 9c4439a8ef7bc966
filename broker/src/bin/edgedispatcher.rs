//! `edgedispatcher`: takes lambda requests, predicts what each would take at each destination, and
//! forwards it to the quickest.

use std::process::ExitCode;

use edge_broker::Dispatcher;
use edge_broker::config::{DispatcherConfig, EstimatorConfig};
use edge_broker::flags::BrokerFlags;
use edge_daemon::cli;
use edge_daemon::conf_string::{ConfSchema, ConfStringProblem, Key, Kind};
use edge_daemon::layers::{ConfigError, Loaded};
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{UsageError, log, run, signals};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes lambda requests and forwards each to the destination for which the shortest time is
/// predicted.
///
/// Options override environment variables (EDGEDISPATCHER__SECTION__KEY), which
/// override the file given as --conf, which overrides the defaults.
#[derive(Debug, clap::Parser)]
#[command(name = "edgedispatcher")]
struct Flags {
    #[command(flatten)]
    broker: BrokerFlags,
    /// Predicting: type=rtt,window-size=N,stale-period=S, type=util,rtt-window-size=N,
    /// rtt-stale-period=S,util-load-timeout=S,util-window-size=N,
    /// type=delay,util-load-timeout=S,util-window-size=N, or type=probe,max-clients=N; all but
    /// rtt also take output=FILE [default: type=rtt,window-size=50,stale-period=10]
    #[arg(long, value_name = "CONF")]
    ptimeest_conf: Option<String>,
}

/// Long options of the reference's program: their abbreviations work here, too.
const REFERENCE_OPTIONS: &[&str] = &[
    "help",
    "version",
    "server-endpoint",
    "controller-endpoint",
    "num-threads",
    "configuration-endpoint",
    "router-conf",
    "fake-num-lambdas",
    "fake-num-destinations",
    "secure",
    "server-conf",
    "ptimeest-conf",
];

static PTIMEEST_CONF: ConfSchema = ConfSchema {
    option: "--ptimeest-conf",
    section: "estimator",
    kinds: &[
        Kind {
            name: "rtt",
            keys: &[Key::integer("window-size"), Key::float("stale-period")],
        },
        Kind {
            name: "util",
            keys: &[
                Key::integer("rtt-window-size"),
                Key::float("rtt-stale-period"),
                Key::float("util-load-timeout"),
                Key::integer("util-window-size"),
                Key::float("util-stale-period"),
                Key::text("output"),
            ],
        },
        Kind {
            name: "delay",
            keys: &[
                Key::float("util-load-timeout"),
                Key::integer("util-window-size"),
                Key::float("util-stale-period"),
                Key::text("output"),
            ],
        },
        Kind {
            name: "probe",
            keys: &[
                Key::integer("max-clients"),
                Key::float("timeout"),
                Key::text("output"),
            ],
        },
    ],
    common: &[],
};

fn main() -> ExitCode {
    run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), REFERENCE_OPTIONS)?;
        let loaded = load(&flags)?;
        loaded
            .config
            .check()
            .map_err(|error| UsageError(error.to_string()))?;
        if !flags.broker.common.print_config {
            loaded
                .config
                .check_certificates()
                .map_err(|error| UsageError(error.to_string()))?;
        }
        if flags.broker.common.answered(&loaded)? {
            return Ok(());
        }
        log::init(&loaded.config.log);
        loaded.log_warnings();
        let shutdown = Shutdown::new();
        signals::install(&shutdown)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve(loaded.config, shutdown))
    })
}

fn load(flags: &Flags) -> anyhow::Result<Loaded<DispatcherConfig>> {
    let layers = flags.broker.layers("edgedispatcher");
    layers
        .conf_string(&PTIMEEST_CONF, flags.ptimeest_conf.as_deref())
        .load()
        .map_err(in_reference_words)
}

/// Puts the words of the reference in front of an error in `--ptimeest-conf` that does not have them
/// already.
fn in_reference_words(error: ConfigError) -> anyhow::Error {
    let words = match &error {
        ConfigError::ConfString(wrong) if wrong.option == PTIMEEST_CONF.option => {
            if let ConfStringProblem::UnknownType { name, .. } = &wrong.problem {
                Some(EstimatorConfig::unknown_type(name))
            } else {
                let mut pairs = wrong
                    .text
                    .split(',')
                    .filter_map(|pair| pair.split_once('='));
                let named = pairs.find(|(key, _)| key.trim() == "type");
                named.map(|(_, name)| EstimatorConfig::invalid(name.trim()))
            }
        }
        _ => None,
    };
    let error = anyhow::Error::new(error);
    match words {
        Some(words) => error.context(words),
        None => error,
    }
}

async fn serve(config: DispatcherConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let patience = config.drain.deadline;
    let estimator = config.estimator.clone();
    let dispatcher = tokio::select! {
        biased;
        reason = shutdown.requested() => {
            tracing::info!(reason, "ended before it served");
            return Ok(());
        }
        started = Dispatcher::start(config) => started?,
    };
    tracing::info!(
        lambda = %dispatcher.lambda_address(),
        tables = %dispatcher.table_address(),
        ?estimator,
        "edgedispatcher serves"
    );
    let reason = shutdown.requested().await;
    tracing::info!(reason, "draining");
    anyhow::ensure!(
        dispatcher.shutdown(patience).await,
        "requests were still in flight after {patience:?} and have been cut off"
    );
    Ok(())
}
