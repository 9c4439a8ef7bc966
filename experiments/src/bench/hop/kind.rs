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
    /// A bare h2 pass-through with partial decode, TLS on both sides
    FloorTls,
    /// Envoy, one worker, TLS on both sides
    EnvoyTls,
    /// HAProxy, one thread, TLS on both sides
    HaproxyTls,
    /// nginx, one process, TLS on both sides
    NginxTls,
}

impl Kind {
    /// All, in the order in which they are shown.
    const ALL: [Self; 13] = [
        Self::Direct,
        Self::Router,
        Self::RouterTls,
        Self::RouterQuic,
        Self::RouterH3,
        Self::Floor,
        Self::Envoy,
        Self::Haproxy,
        Self::Nginx,
        Self::FloorTls,
        Self::EnvoyTls,
        Self::HaproxyTls,
        Self::NginxTls,
    ];
    /// Programs of others.
    pub(super) const PEERS: [Self; 3] = [Self::Haproxy, Self::Envoy, Self::Nginx];
    /// The same with TLS on both sides.
    pub(super) const TLS_PEERS: [Self; 3] = [Self::HaproxyTls, Self::EnvoyTls, Self::NginxTls];

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
            Self::FloorTls => "floor-tls",
            Self::EnvoyTls => "envoy-tls",
            Self::HaproxyTls => "haproxy-tls",
            Self::NginxTls => "nginx-tls",
        }
    }

    /// Whether it is a program of others.
    pub(super) fn is_peer(self) -> bool {
        Self::PEERS.contains(&self) || Self::TLS_PEERS.contains(&self)
    }

    /// Whether nothing is sent in the clear, on either side.
    pub(super) fn is_encrypted(self) -> bool {
        match self {
            Self::RouterTls
            | Self::RouterQuic
            | Self::RouterH3
            | Self::FloorTls
            | Self::EnvoyTls
            | Self::HaproxyTls
            | Self::NginxTls => true,
            Self::Direct
            | Self::Router
            | Self::Floor
            | Self::Envoy
            | Self::Haproxy
            | Self::Nginx => false,
        }
    }

    /// Whether it is measured: what nobody names is, unless it is one that has an option.
    fn is_wanted(self, flags: &Flags) -> bool {
        let by_option = match self {
            Self::Floor => flags.floor,
            Self::RouterQuic | Self::RouterH3 => flags.quic,
            Self::FloorTls | Self::EnvoyTls | Self::HaproxyTls | Self::NginxTls => flags.tls,
            Self::Direct
            | Self::Router
            | Self::RouterTls
            | Self::Envoy
            | Self::Haproxy
            | Self::Nginx => flags.hops.is_empty(),
        };
        by_option || flags.hops.contains(&self)
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
    let wanted = Kind::ALL.into_iter().filter(|kind| kind.is_wanted(flags));
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut present = Vec::new();
    for kind in wanted {
        let program = match kind {
            Kind::Direct => Some((own.clone(), "the computer itself".to_owned())),
            Kind::Floor | Kind::FloorTls => Some((
                own.clone(),
                "h2, views of the messages, nothing else".to_owned(),
            )),
            Kind::Router | Kind::RouterTls | Kind::RouterQuic | Kind::RouterH3 => {
                let found = router::program(flags.router.as_deref())?;
                Some((found.path, found.origin))
            }
            Kind::Envoy | Kind::EnvoyTls => {
                foreign("envoy", flags.envoy.as_deref(), programs::envoy)?
            }
            Kind::Haproxy | Kind::HaproxyTls => {
                let search = || programs::on_path("haproxy");
                foreign("haproxy", flags.haproxy.as_deref(), search)?
            }
            Kind::Nginx | Kind::NginxTls => {
                let search = || programs::on_path("nginx");
                foreign("nginx", flags.nginx.as_deref(), search)?
            }
        };
        let name = kind.name();
        let option = name.trim_end_matches("-tls");
        match program {
            Some((path, origin)) => present.push(Program { kind, path, origin }),
            None if flags.require_peers => {
                anyhow::bail!("{option} is not installed; --{option} says where it is")
            }
            None => eprintln!(
                "{option} is not installed: {name} is left out; --{option} says where it is"
            ),
        }
    }
    anyhow::ensure!(!present.is_empty(), "none of the hops is installed");
    Ok(present)
}

fn foreign(
    name: &str,
    given: Option<&Path>,
    search: impl FnOnce() -> Option<PathBuf>,
) -> anyhow::Result<Option<(PathBuf, String)>> {
    let path = match given {
        Some(given) => {
            programs::named(&format!("--{name}"), given)?;
            Some(given.to_owned())
        }
        None => search(),
    };
    Ok(path.map(|path| {
        let origin = path.display().to_string();
        (path, origin)
    }))
}
