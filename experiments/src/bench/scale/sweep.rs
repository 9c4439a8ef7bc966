//! One thing that grows: a router for each of its values, measured in turn.

use std::time::Duration;

use super::row::{Load, Row};
use super::site::Site;
use super::subject::{Sample, Subject};

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

/// Measures all values under all loads.
pub(super) async fn measure(
    sweep: &Sweep,
    site: &Site,
    length: Duration,
    rounds: usize,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &load in sweep.kind.loads() {
        let made_up = load == Load::MadeUp;
        let mut subjects = Vec::new();
        for &value in &sweep.values {
            let (kind, policy) = (sweep.kind, sweep.policy);
            subjects.push(Subject::set_up(site, kind, policy, value, made_up).await?);
        }
        rows.extend(under(load, sweep, &subjects, length, rounds).await?);
    }
    Ok(rows)
}

/// Measures all values under one load.
async fn under(
    load: Load,
    sweep: &Sweep,
    subjects: &[Subject],
    length: Duration,
    rounds: usize,
) -> anyhow::Result<Vec<Row>> {
    let mut samples: Vec<Vec<Sample>> = subjects.iter().map(|_| Vec::new()).collect();
    for subject in subjects {
        subject.sample(Load::Busy.in_flight(), length).await?;
    }
    for _ in 0..rounds {
        for (subject, samples) in subjects.iter().zip(&mut samples) {
            samples.push(subject.sample(load.in_flight(), length).await?);
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    for (subject, samples) in subjects.iter().zip(&samples) {
        let place = (sweep.kind.name(), sweep.policy, subject.value);
        let mut row = Row::of(place, load, samples);
        if let Some(first) = rows.first() {
            row.ratio = row.cpu_us / first.cpu_us;
        }
        rows.push(row);
    }
    Ok(rows)
}
