//! The command lines. This is that of `edgecomputer`: the options of the C++ reference, and ours.

mod wsk;

use std::ffi::OsString;

use edge_daemon::UsageError;
use edge_daemon::cli::{self, CommonFlags};
use edge_daemon::conf_string::{ConfSchema, Key, Kind, LISTENS};
use edge_daemon::layers::{Layers, Loaded, Origin};

pub use self::wsk::{WskFlags, read_wsk};
use crate::config::{ComputerType, Config};
use crate::sim::json_example;

/// An edge computer: executes lambdas, simulated or real ones, and tells brokers how busy it is
///
/// What is simulated is given as --conf, either a TOML file or a conf string:
/// type=raspberry,num-cpu-containers=N,num-cpu-workers=N,num-gpu-containers=N,num-gpu-workers=N;
/// type=intel-server,num-containers=N,num-workers=N; or type=file,path=FILE (JSON, see
/// --json-example). Real functions are given as [[runtime.lambda]] in a TOML file, with
/// --computer-type runtime.
#[derive(Debug, clap::Parser)]
#[command(name = "edgecomputer")]
pub struct Flags {
    /// What all programs share; a conf string given as `--conf` describes the platform.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Where to serve lambdas [default: 0.0.0.0:6473]
    #[arg(long, value_name = "HOST:PORT")]
    pub server_endpoint: Option<String>,
    /// How others reach this computer, if not by the end-point that it listens on
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Where to announce what is served here; empty: nowhere
    #[arg(long, value_name = "HOST:PORT")]
    pub controller_endpoint: Option<String>,
    /// Cores of the data plane, from 1 to 512; does not limit how many requests are served at once
    /// [default: all]
    #[arg(long, value_name = "N")]
    pub num_threads: Option<u32>,
    /// Encrypt the lambda service, and ask clients for certificates
    #[arg(long)]
    pub secure: bool,
    /// Encrypt everything else, too: utilisation, states, callbacks, announcements
    #[arg(long)]
    pub secure_control: bool,
    /// How lambdas travel: type=grpc, or type=quic|both,congestion=tolerant|cubic|bbr, which needs
    /// certificates [default: type=grpc]
    #[arg(long, value_name = "CONF")]
    pub server_conf: Option<String>,
    /// What executes lambdas: sim or runtime [default: sim]
    #[arg(long, value_name = "TYPE")]
    pub computer_type: Option<String>,
    /// Where to stream utilisation; empty: nowhere [default: 0.0.0.0:6476]
    #[arg(long, value_name = "HOST:PORT")]
    pub utilization_endpoint: Option<String>,
    /// Take requests with a callback
    #[arg(long)]
    pub asynchronous: bool,
    /// Edge router through which the next function of a chain or DAG is called; implies
    /// --asynchronous
    #[arg(long, value_name = "HOST:PORT")]
    pub companion_endpoint: Option<String>,
    /// Where to serve states
    #[arg(long, value_name = "HOST:PORT")]
    pub state_endpoint: Option<String>,
    /// Use the state server at --state-endpoint, which is somewhere else
    #[arg(long)]
    pub no_state_server: bool,
    /// Bounds of the queues: max-pending=N,max-wait=DURATION [default: max-pending=10000,max-wait=10s]
    #[arg(long, value_name = "CONF")]
    pub limits_conf: Option<String>,
    /// Of computers of type http
    #[arg(long, value_name = "CONF", hide = true)]
    pub http_conf: Option<String>,
    /// Print a platform as JSON, to start from, and exit
    #[arg(long)]
    pub json_example: bool,
}

/// The long options of the reference's `edgecomputer`.
const REFERENCE_OPTIONS: [&str; 14] = [
    "server-endpoint",
    "controller-endpoint",
    "num-threads",
    "secure",
    "server-conf",
    "computer-type",
    "utilization-endpoint",
    "asynchronous",
    "companion-endpoint",
    "state-endpoint",
    "no-state-server",
    "conf",
    "http-conf",
    "json-example",
];

static PLATFORM_CONF: ConfSchema = ConfSchema {
    option: "--conf",
    section: "platform",
    kinds: &[
        Kind {
            name: "raspberry",
            keys: &[
                Key::integer("num-cpu-containers"),
                Key::integer("num-cpu-workers"),
                Key::integer("num-gpu-containers"),
                Key::integer("num-gpu-workers"),
            ],
        },
        Kind {
            name: "intel-server",
            keys: &[Key::integer("num-containers"), Key::integer("num-workers")],
        },
        Kind {
            name: "file",
            keys: &[Key::text("path")],
        },
    ],
    common: &[],
};

static SERVER_CONF: ConfSchema = ConfSchema {
    option: "--server-conf",
    section: "transport",
    kinds: LISTENS,
    common: &[],
};

static LIMITS_CONF: ConfSchema = ConfSchema {
    option: "--limits-conf",
    section: "limits",
    kinds: &[],
    common: &[Key::integer("max-pending"), Key::text("max-wait")],
};

/// Reads the command line, the program's name first, and the configuration that it names; `None` if what was
/// asked for has been printed.
///
/// # Errors
/// Wrong usage or an unusable configuration; both make the program exit with 2.
pub fn read(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> anyhow::Result<Option<Loaded<Config>>> {
    let flags: Flags = cli::parse(arguments, &REFERENCE_OPTIONS)?;
    if flags.json_example {
        cli::print(json_example())?;
        return Ok(None);
    }
    check_type(&flags)?;
    let common = flags.common.clone();
    let loaded: Loaded<Config> = layers(flags).load()?;
    if let Err(invalid) = loaded.config.validate() {
        return Err(loaded.invalid(invalid.key, invalid.problem).into());
    }
    for oddity in oddities(&loaded) {
        eprintln!("warning: {oddity}");
    }
    if common.answered(&loaded)? {
        return Ok(None);
    }
    Ok(Some(loaded))
}

/// What is configured and has no effect, and what is not there though it will be needed.
fn oddities(loaded: &Loaded<Config>) -> Vec<String> {
    let config = &loaded.config;
    if config.computer.kind != ComputerType::Runtime {
        return Vec::new();
    }
    let mut oddities = Vec::new();
    let simulated = loaded.origin("platform.type");
    if simulated != Origin::Default {
        oddities.push(format!(
            "{simulated}: platform is for computers of type sim and has no effect"
        ));
    }
    if config.runtime.lambdas.is_empty() {
        oddities.push("there are no functions ([[runtime.lambda]]), nothing is served".to_owned());
    }
    oddities.extend(config.runtime.missing());
    oddities
}

fn check_type(flags: &Flags) -> Result<(), UsageError> {
    let kind = flags.computer_type.as_deref();
    if kind == Some("http") {
        return Err(UsageError(
            "--computer-type http is not available in this version; there are sim and runtime"
                .to_owned(),
        ));
    }
    if flags.http_conf.is_some() {
        eprintln!("warning: --http-conf is for --computer-type http and has no effect");
    }
    match kind {
        None | Some("sim" | "runtime") => Ok(()),
        Some(other) => Err(UsageError(format!(
            "unknown --computer-type `{other}`; there are sim and runtime"
        ))),
    }
}

fn layers(flags: Flags) -> Layers {
    let given = |flag: bool, value: bool| flag.then_some(value);
    Layers::new("edgecomputer")
        .common(&flags.common, Some(&PLATFORM_CONF))
        .conf_string(&SERVER_CONF, flags.server_conf.as_deref())
        .conf_string(&LIMITS_CONF, flags.limits_conf.as_deref())
        .flag(
            "--server-endpoint",
            "server.endpoint",
            flags.server_endpoint,
        )
        .flag("--computer-type", "computer.type", flags.computer_type)
        .flag("--advertise", "server.advertise", flags.advertise)
        .flag("--num-threads", "server.num-threads", flags.num_threads)
        .flag("--secure", "server.secure", given(flags.secure, true))
        .flag(
            "--secure-control",
            "tls.control",
            given(flags.secure_control, true),
        )
        .flag(
            "--controller-endpoint",
            "controller.endpoint",
            flags.controller_endpoint,
        )
        .flag(
            "--utilization-endpoint",
            "utilization.endpoint",
            flags.utilization_endpoint,
        )
        .flag(
            "--asynchronous",
            "asynchronous.enabled",
            given(flags.asynchronous, true),
        )
        .flag(
            "--companion-endpoint",
            "asynchronous.companion",
            flags.companion_endpoint,
        )
        .flag("--state-endpoint", "state.endpoint", flags.state_endpoint)
        .flag(
            "--no-state-server",
            "state.serve",
            given(flags.no_state_server, false),
        )
}
