//! How requests travel.

use clap::ValueEnum;
use serde::Serialize;

use crate::impair::Carries;

/// The modes of the published experiments, and gRPC with TLS, which is the fair opponent of a
/// transport that always encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// gRPC over TCP, plain.
    Grpc,
    /// gRPC over TCP with mutual TLS.
    GrpcTls,
    /// Native streams over QUIC.
    Quic,
    /// The same, with the congestion control cubic on both sides.
    QuicCubic,
    /// The same, with the congestion control BBR on both sides.
    QuicBbr,
    /// Native streams, with early data of lambdas that may be repeated.
    #[value(name = "quic0rtt")]
    #[serde(rename = "quic0rtt")]
    Quic0Rtt,
}

impl Mode {
    /// Those of the published experiments.
    pub(crate) const PUBLISHED: [Self; 3] = [Self::Grpc, Self::Quic, Self::Quic0Rtt];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcTls => "grpc-tls",
            Self::Quic => "quic",
            Self::QuicCubic => "quic-cubic",
            Self::QuicBbr => "quic-bbr",
            Self::Quic0Rtt => "quic0rtt",
        }
    }

    pub(crate) fn is_quic(self) -> bool {
        matches!(
            self,
            Self::Quic | Self::QuicCubic | Self::QuicBbr | Self::Quic0Rtt
        )
    }

    pub(crate) fn is_secure(self) -> bool {
        self != Self::Grpc
    }

    /// What carries it.
    pub(crate) fn carries(self) -> Carries {
        if self.is_quic() {
            Carries::Udp
        } else {
            Carries::Tcp
        }
    }

    /// `--server-conf`.
    pub(crate) fn server_conf(self) -> &'static str {
        match self {
            Self::Grpc | Self::GrpcTls => "type=grpc",
            Self::Quic | Self::Quic0Rtt => "type=quic",
            Self::QuicCubic => "type=quic,congestion=cubic",
            Self::QuicBbr => "type=quic,congestion=bbr",
        }
    }

    /// `--client-conf`.
    pub(crate) fn client_conf(self) -> &'static str {
        match self {
            Self::Grpc | Self::GrpcTls => "type=grpc",
            Self::Quic => "type=quic,attempt-early-data=false",
            Self::QuicCubic => "type=quic,attempt-early-data=false,congestion=cubic",
            Self::QuicBbr => "type=quic,attempt-early-data=false,congestion=bbr",
            Self::Quic0Rtt => "type=quic,attempt-early-data=true",
        }
    }

    /// How routers name a destination.
    pub(crate) fn destination(self, authority: &str) -> String {
        if self.is_quic() {
            format!("quic://{authority}")
        } else {
            authority.to_owned()
        }
    }
}
