//! Who can stand between client and computer, and which of them are there.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Flags;
use crate::bench::{programs, router};

/// A hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Nothing: the client calls the computer
    Direct,
    /// `edgerouter`, default options but one core
    Router,
    /// The same with TLS on both sides
    RouterTls,
    /// The same with native QUIC on both sides
    RouterQuic,
    /// The same with gRPC over HTTP/3 on both sides
    RouterH3,
    /// A bare h2 pass-through with partial decode
    Floor,
    /// Envoy, one worker
    Envoy,
    /// HAProxy, one thread
    Haproxy,
    /// nginx, one process
    Nginx,
}

impl Kind {
    /// All, in the order in which they are shown.
    pub(super) const ALL: [Self; 9] = [
        Self::Direct,
        Self::Router,
        Self::RouterTls,
        Self::RouterQuic,
        Self::RouterH3,
        Self::Floor,
        Self::Envoy,
        Self::Haproxy,
        Self::Nginx,
    ];
    /// Programs of others.
    pub(super) const PEERS: [Self; 3] = [Self::Haproxy, Self::Envoy, Self::Nginx];

    /// Its name in tables and JSON lines.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Router => "router",
            Self::RouterTls => "router-tls",
            Self::RouterQuic => "router-quic",
            Self::RouterH3 => "router-h3",
            Self::Floor => "floor",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }
}

/// A hop and its program.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    /// For people: what is measured.
    pub(super) origin: String,
}

/// Those that were asked for and are there; says who is not.
pub(super) fn present(flags: &Flags) -> anyhow::Result<Vec<Program>> {
    let wanted: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| match kind {
            Kind::Floor => flags.floor || flags.hops.contains(kind),
            Kind::RouterQuic | Kind::RouterH3 => flags.quic || flags.hops.contains(kind),
            _ => flags.hops.is_empty() || flags.hops.contains(kind),
        })
        .collect();
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut present = Vec::new();
    for kind in wanted {
        let program = match kind {
            Kind::Direct => Some((own.clone(), "the computer itself".to_owned())),
            Kind::Floor => Some((
                own.clone(),
                "h2, views of the messages, nothing else".to_owned(),
            )),
            Kind::Router | Kind::RouterTls | Kind::RouterQuic | Kind::RouterH3 => {
                let found = router::program(flags.router.as_deref())?;
                Some((found.path, found.origin))
            }
            Kind::Envoy => foreign(kind, flags.envoy.as_deref(), programs::envoy)?,
            Kind::Haproxy => foreign(kind, flags.haproxy.as_deref(), || {
                programs::on_path("haproxy")
            })?,
            Kind::Nginx => foreign(kind, flags.nginx.as_deref(), || programs::on_path("nginx"))?,
        };
        let name = kind.name();
        match program {
            Some((path, origin)) => present.push(Program { kind, path, origin }),
            None if flags.require_peers => {
                anyhow::bail!("{name} is not installed; --{name} says where it is")
            }
            None => eprintln!("{name} is not installed: left out; --{name} says where it is"),
        }
    }
    anyhow::ensure!(!present.is_empty(), "none of the hops is installed");
    Ok(present)
}

fn foreign(
    kind: Kind,
    given: Option<&Path>,
    search: impl FnOnce() -> Option<PathBuf>,
) -> anyhow::Result<Option<(PathBuf, String)>> {
    let path = match given {
        Some(given) => {
            let name = kind.name();
            anyhow::ensure!(given.is_file(), "--{name}: no file {}", given.display());
            Some(given.to_owned())
        }
        None => search(),
    };
    Ok(path.map(|path| {
        let origin = path.display().to_string();
        (path, origin)
    }))
}
