//! What the controller knows, as `/state` shows it.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use crate::inbox::Contact;
use crate::names::Address;
use crate::registry::{Computer, Registry, Standing};

/// A snapshot, for people and their tools.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    computers: Vec<ComputerState>,
    routers: Vec<RouterState>,
    /// Each lambda, with the computers that serve it.
    lambdas: BTreeMap<String, Vec<String>>,
    /// What routers know since before this controller started, and nobody has announced.
    strangers: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ComputerState {
    endpoint: String,
    standing: StandingState,
    generation: u64,
    containers: Vec<ContainerState>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ContainerState {
    name: String,
    processor: String,
    lambda: String,
    workers: u32,
}

#[derive(Debug, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
enum StandingState {
    Leased { remaining_ms: u64 },
    Probed { failures: u32 },
    Withdrawn { since_ms: u64 },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RouterState {
    endpoint: String,
    table: String,
    /// Null for a router that never renews.
    lease_remaining_ms: Option<u64>,
    contact: ContactState,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum ContactState {
    None,
    Answers,
    Fails { attempts: u32, error: String },
}

impl State {
    pub(crate) fn of(
        registry: &Registry,
        now: Instant,
        contact: impl Fn(&Address) -> Option<Contact>,
    ) -> Self {
        let computers = registry.computers().iter();
        let routers = registry.routers().iter();
        let lambdas = registry.lambdas().iter();
        Self {
            strangers: registry.strangers().map(ToString::to_string).collect(),
            computers: computers
                .map(|(address, computer)| computer_state(address, computer, now))
                .collect(),
            routers: routers
                .map(|(address, router)| RouterState {
                    endpoint: address.to_string(),
                    table: router.table.to_string(),
                    lease_remaining_ms: router.until.map(|until| between_ms(now, until)),
                    contact: contact(address).map_or(ContactState::None, ContactState::from),
                })
                .collect(),
            lambdas: lambdas
                .map(|(lambda, servers)| {
                    let servers = servers.iter().map(ToString::to_string);
                    (lambda.to_string(), servers.collect())
                })
                .collect(),
        }
    }
}

fn computer_state(address: &Address, computer: &Computer, now: Instant) -> ComputerState {
    let containers = computer.containers.iter();
    ComputerState {
        endpoint: address.to_string(),
        standing: match computer.standing {
            Standing::Leased { until } => StandingState::Leased {
                remaining_ms: between_ms(now, until),
            },
            Standing::Probed { failures } => StandingState::Probed { failures },
            Standing::Withdrawn { since } => StandingState::Withdrawn {
                since_ms: between_ms(since, now),
            },
        },
        generation: computer.generation,
        containers: containers
            .map(|container| ContainerState {
                name: container.name.clone(),
                processor: container.processor.clone(),
                lambda: container.lambda.to_string(),
                workers: container.workers,
            })
            .collect(),
    }
}

impl From<Contact> for ContactState {
    fn from(contact: Contact) -> Self {
        match contact {
            Contact::None => Self::None,
            Contact::Answers => Self::Answers,
            Contact::Fails { attempts, error } => Self::Fails {
                attempts,
                error: error.to_string(),
            },
        }
    }
}

fn between_ms(from: Instant, to: Instant) -> u64 {
    let between = to.saturating_duration_since(from);
    u64::try_from(between.as_millis()).unwrap_or(u64::MAX)
}
