//! One thing that grows: a router for each of its values, measured in turn.

use super::rounds::Rounds;
use super::row::{Load, Place, Row};
use super::site::Site;
use super::subject::Subject;

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Lambdas, all asked for in turn
    Lambdas,
    /// Destinations of one lambda
    Destinations,
    /// The fewest and the most destinations, under each policy
    Policies,
    /// Connections of clients
    Connections,
    /// Changes of the table per second
    Changes,
    /// The table, as far as memory and dumps of it are concerned
    Memory,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Lambdas,
        Self::Destinations,
        Self::Policies,
        Self::Connections,
        Self::Changes,
        Self::Memory,
    ];

    /// Its name in tables and JSON lines.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lambdas => "lambdas",
            Self::Destinations => "destinations",
            Self::Policies => super::policies::NAME,
            Self::Connections => "connections",
            Self::Changes => "changes",
            Self::Memory => "memory",
        }
    }

    /// Whether routers that make answers up tell anything.
    fn loads(self) -> &'static [Load] {
        match self {
            Self::Destinations => &[Load::Alone, Load::Busy, Load::MadeUp],
            _ => &[Load::Alone, Load::Busy],
        }
    }
}

/// What grows, and how far.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) kind: Kind,
    pub(super) policy: &'static str,
    pub(super) values: Vec<usize>,
}

/// Measures all values, and the first of them in another router again, under all loads.
pub(super) async fn measure(
    sweep: &Sweep,
    site: &Site,
    rounds: Rounds,
) -> anyhow::Result<Vec<Row>> {
    let (kind, policy) = (sweep.kind, sweep.policy);
    let again = sweep.values.first().filter(|_| sweep.values.len() > 1);
    let mut rows = Vec::new();
    for &load in kind.loads() {
        let made_up = load == Load::MadeUp;
        let mut subjects = Vec::new();
        for &value in sweep.values.iter().chain(again) {
            subjects.push(Subject::set_up(site, kind, policy, value, made_up).await?);
        }
        let samples = rounds.measure(site, &subjects, load, None).await?;
        let place = Place {
            sweep: kind.name(),
            policy,
            load,
        };
        rows.extend(Row::all(place, &sweep.values, &samples));
    }
    Ok(rows)
}
