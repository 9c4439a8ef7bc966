//! `edgerouter`: takes lambda requests and forwards each where it is answered soonest.

use std::process::ExitCode;

use edge_broker::Router;
use edge_broker::config::{Config, OptimizerSection};
use edge_broker::flags::BrokerFlags;
use edge_daemon::cli;
use edge_daemon::conf_string::{ConfSchema, Key, Kind};
use edge_daemon::layers::Loaded;
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{UsageError, log, run, signals};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes lambda requests and forwards each to the destination that answers soonest.
///
/// Options override environment variables (EDGEROUTER__SECTION__KEY), which
/// override the file given as --conf, which overrides the defaults.
#[derive(Debug, clap::Parser)]
#[command(name = "edgerouter")]
struct Flags {
    #[command(flatten)]
    broker: BrokerFlags,
    /// Picking a destination: type=predicted-completion,strictness=S,refusal-share=R,max-refusals=N,probes=P,
    /// least-cost, consistent-hash,load-factor=C, least-request,bias=B,
    /// weighted-round-robin,penalty=P, prequal,probes=N, c3,clients=N, peak-ewma, p2c,
    /// power-of-d,choices=N, random, least-impedance, round-robin, or
    /// proportional-fairness,alpha=A,beta=B [default: type=predicted-completion]
    #[arg(long, value_name = "CONF")]
    table_conf: Option<String>,
    /// Adjusting weights: type=none, trivial,period=S,stat=mean|min|max, async,alpha=A, or
    /// asyncPF [default: type=none]
    #[arg(long, value_name = "CONF")]
    optimizer_conf: Option<String>,
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
    "table-conf",
    "optimizer-conf",
];

const fn bare(name: &'static str) -> Kind {
    Kind { name, keys: &[] }
}

static TABLE_CONF: ConfSchema = ConfSchema {
    option: "--table-conf",
    section: "table",
    kinds: &[
        Kind {
            name: "predicted-completion",
            keys: &[
                Key::float("strictness"),
                Key::float("refusal-share"),
                Key::integer("max-refusals"),
                Key::float("probes"),
            ],
        },
        bare("least-cost"),
        Kind {
            name: "consistent-hash",
            keys: &[Key::float("load-factor")],
        },
        Kind {
            name: "least-request",
            keys: &[Key::float("bias")],
        },
        Kind {
            name: "weighted-round-robin",
            keys: &[Key::float("penalty")],
        },
        Kind {
            name: "prequal",
            keys: &[Key::float("probes")],
        },
        Kind {
            name: "c3",
            keys: &[Key::integer("clients")],
        },
        bare("peak-ewma"),
        bare("p2c"),
        Kind {
            name: "power-of-d",
            keys: &[Key::integer("choices")],
        },
        bare("random"),
        bare("least-impedance"),
        bare("round-robin"),
        Kind {
            name: "proportional-fairness",
            keys: &[Key::float("alpha"), Key::float("beta")],
        },
    ],
    common: &[],
};

static OPTIMIZER_CONF: ConfSchema = ConfSchema {
    option: "--optimizer-conf",
    section: "optimizer",
    kinds: &[
        bare("none"),
        Kind {
            name: "trivial",
            keys: &[Key::float("period"), Key::text("stat")],
        },
        Kind {
            name: "async",
            keys: &[Key::float("alpha")],
        },
        bare("asyncPF"),
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

fn load(flags: &Flags) -> anyhow::Result<Loaded<Config>> {
    let layers = flags.broker.layers("edgerouter");
    let loaded = layers
        .conf_string(&TABLE_CONF, flags.table_conf.as_deref())
        .conf_string(&OPTIMIZER_CONF, flags.optimizer_conf.as_deref())
        .load()?;
    Ok(loaded)
}

async fn serve(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let patience = config.drain.deadline;
    let (table, optimizer) = (config.table.clone(), config.optimizer.clone());
    let own = config
        .lambda
        .values()
        .filter_map(|lambda| lambda.policy.as_ref());
    let weights_matter = own
        .chain([&config.table])
        .any(|table| !table.policy().ignores_weights());
    let router = tokio::select! {
        biased;
        reason = shutdown.requested() => {
            tracing::info!(reason, "ended before it served");
            return Ok(());
        }
        started = Router::start(config) => started?,
    };
    tracing::info!(
        lambda = %router.lambda_address(),
        tables = %router.table_address(),
        ?table,
        ?optimizer,
        "edgerouter serves"
    );
    tell_about_weights(weights_matter, &optimizer);
    let reason = shutdown.requested().await;
    tracing::info!(reason, "draining");
    anyhow::ensure!(
        router.shutdown(patience).await,
        "requests were still in flight after {patience:?} and have been cut off"
    );
    Ok(())
}

/// Which combinations of policies and optimizer may not be what was meant.
fn tell_about_weights(weights_matter: bool, optimizer: &OptimizerSection) {
    let adjusted = *optimizer != OptimizerSection::None {};
    if !weights_matter && adjusted {
        tracing::warn!("the optimizer has no effect: no policy looks at weights");
    } else if weights_matter && !adjusted {
        tracing::info!("weights stay as they are announced: there is no --optimizer-conf");
    }
}
