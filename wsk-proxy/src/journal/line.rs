//! What a line of the journal can say.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::activation::{Activation, ActivationId};
use crate::names::ActionName;
use crate::registry::{Registered, Traits};

/// A non-blocking invocation that a client was promised.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) id: ActivationId,
    pub(crate) action: ActionName,
    /// The client wrote the namespace rather than `_`.
    pub(crate) written_out: bool,
    /// Compact JSON.
    pub(crate) parameters: String,
    pub(crate) hops: u32,
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
}

/// A line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    Accepted(Accepted),
    /// It is sent to the platform now.
    Begun(ActivationId),
    /// The platform did not take it.
    Returned(ActivationId),
    Ended(Arc<Activation>),
    /// It was not accepted after all: its client was told so, or nobody was told anything.
    Void(ActivationId),
    Action(ActionName, Arc<Registered>),
    ActionGone(ActionName),
    /// By its full name.
    Package(String, Arc<Traits>),
    PackageGone(String),
}

/// What a line means for the lines before it of the same subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing has to be kept of it when the file is full.
    History,
    /// It has to be kept, and those before it need not.
    Instead(String),
    /// It has to be kept beside them, if there are any.
    Beside(String),
    /// None of them has to be kept any more.
    Over(String),
}

impl Line {
    /// As it stands in the file, its end included.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("lines have a JSON form");
        text.push(b'\n');
        text
    }

    pub(super) fn keep(&self) -> Keep {
        let action = |name: &ActionName| format!("a{name}");
        let package = |name: &str| format!("p{name}");
        match self {
            Self::Accepted(accepted) => Keep::Instead(accepted.id.to_string()),
            Self::Begun(id) | Self::Returned(id) => Keep::Beside(id.to_string()),
            Self::Ended(activation) if activation.cause.is_some() => Keep::History,
            Self::Ended(activation) => Keep::Over(activation.id.to_string()),
            Self::Void(id) => Keep::Over(id.to_string()),
            Self::Action(name, _) => Keep::Instead(action(name)),
            Self::ActionGone(name) => Keep::Over(action(name)),
            Self::Package(name, _) => Keep::Instead(package(name)),
            Self::PackageGone(name) => Keep::Over(package(name)),
        }
    }
}
