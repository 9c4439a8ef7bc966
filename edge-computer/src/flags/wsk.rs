//! The command line of `edgecomputerwsk`: the options of the C++ reference, and ours.

use std::ffi::OsString;
use std::path::PathBuf;

use edge_daemon::cli::{self, CommonFlags};
use edge_daemon::layers::{Layers, Loaded};

use super::{LIMITS_CONF, SERVER_CONF};
use crate::config::WskConfig;

/// An edge computer in front of OpenWhisk: executes lambdas as its actions, tells brokers of them
///
/// Several platforms are tables "backend" in a TOML file.
#[derive(Debug, clap::Parser)]
#[command(name = "edgecomputerwsk")]
pub struct WskFlags {
    /// What all programs share.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Where the platform is: https://host:port, or https://host
    #[arg(long, value_name = "URL")]
    pub wsk_api_root: Option<String>,
    /// Its credentials, uuid:key or the base64 form of it; others see them in the list of
    /// processes, but not in --wsk-auth-file or the variable EDGECOMPUTERWSK__WSK__AUTH
    #[arg(long, value_name = "TOKEN")]
    pub wsk_auth: Option<String>,
    /// A file with the credentials
    #[arg(long, value_name = "FILE")]
    pub wsk_auth_file: Option<PathBuf>,
    /// Certificates (PEM) of the authorities to trust, instead of those of the system
    #[arg(long, value_name = "FILE")]
    pub wsk_ca: Option<PathBuf>,
    /// Trust any certificate of the platform
    #[arg(long)]
    pub insecure: bool,
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
    /// Bounds of the queues: max-pending=N,max-wait=DURATION [default: max-pending=10000,max-wait=10s]
    #[arg(long, value_name = "CONF")]
    pub limits_conf: Option<String>,
}

/// The long options of the reference's `edgecomputerwsk`.
const REFERENCE_OPTIONS: [&str; 7] = [
    "wsk-api-root",
    "wsk-auth",
    "server-endpoint",
    "controller-endpoint",
    "num-threads",
    "secure",
    "server-conf",
];

/// Reads the command line, the program's name first, and the configuration that it names; `None` if what was
/// asked for has been printed.
///
/// # Errors
/// Wrong usage or an unusable configuration; both make the program exit with 2.
pub fn read_wsk(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> anyhow::Result<Option<Loaded<WskConfig>>> {
    let flags: WskFlags = cli::parse(arguments, &REFERENCE_OPTIONS)?;
    let common = flags.common.clone();
    let loaded: Loaded<WskConfig> = layers(flags).load()?;
    if let Err(invalid) = loaded.config.validate() {
        return Err(loaded.invalid(invalid.key, invalid.problem).into());
    }
    if common.answered(&loaded)? {
        return Ok(None);
    }
    Ok(Some(loaded))
}

fn layers(flags: WskFlags) -> Layers {
    let given = |flag: bool| flag.then_some(true);
    let (server, limits) = (flags.server_conf.as_deref(), flags.limits_conf.as_deref());
    let asynchronous = given(flags.asynchronous);
    Layers::new("edgecomputerwsk")
        .common(&flags.common, None)
        .conf_string(&SERVER_CONF, server)
        .conf_string(&LIMITS_CONF, limits)
        .flag("--wsk-api-root", "wsk.api-root", flags.wsk_api_root)
        .flag("--wsk-auth", "wsk.auth", flags.wsk_auth)
        .flag("--wsk-auth-file", "wsk.auth-file", flags.wsk_auth_file)
        .flag("--wsk-ca", "wsk.ca-file", flags.wsk_ca)
        .flag("--insecure", "wsk.insecure", given(flags.insecure))
        .flag(
            "--server-endpoint",
            "server.endpoint",
            flags.server_endpoint,
        )
        .flag("--advertise", "server.advertise", flags.advertise)
        .flag("--num-threads", "server.num-threads", flags.num_threads)
        .flag("--secure", "server.secure", given(flags.secure))
        .flag(
            "--secure-control",
            "tls.control",
            given(flags.secure_control),
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
        .flag("--asynchronous", "asynchronous.enabled", asynchronous)
        .flag(
            "--companion-endpoint",
            "asynchronous.companion",
            flags.companion_endpoint,
        )
}
