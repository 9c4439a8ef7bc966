//! Placement by measured latency, within capacities, with hysteresis and as few moves as that takes.

use std::collections::{BTreeSet, HashMap};

use super::cost::Load;

/// Contexts of one client for one application; they go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The client, as routes name it.
    pub client: String,
    /// The application.
    pub app: String,
    /// How many, at least 1.
    pub contexts: u32,
    /// The end-point where they are.
    pub at: Option<String>,
    /// They stay where they are as long as that computer serves them: they have been moved
    /// just now, or their sessions would suffer.
    pub pinned: bool,
}

/// A computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computer {
    /// Where it is reached.
    pub endpoint: String,
    /// What it serves.
    pub apps: BTreeSet<String>,
    /// Requests that it executes at the same time, at least 1.
    pub workers: u32,
}

/// How readily contexts are moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// A move has to save this part of what the group contributes to the sum: 0 to 1.
    pub hysteresis: f64,
    /// And so many seconds for each context.
    pub least_gain: f64,
    /// Contexts for each worker that double the latency.
    pub comfort_per_worker: f64,
    /// Contexts for each worker that fit; infinite for no limit.
    pub capacity_per_worker: f64,
}

impl Default for Settings {
    /// A fifth, at least a millisecond, 16 contexts for each worker, no limit.
    fn default() -> Self {
        Self {
            hysteresis: 0.2,
            least_gain: 0.001,
            comfort_per_worker: 16.0,
            capacity_per_worker: f64::INFINITY,
        }
    }
}

/// Where everybody goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Of each group, the position of its computer; `None` if none serves it.
    pub assigned: Vec<Option<usize>>,
    /// Groups that go somewhere else than they were.
    pub moves: usize,
    /// Expected latencies of all contexts, added up, in seconds.
    pub cost: f64,
}

/// Rounds of improvement: each costs groups times computers.
const MAX_ROUNDS: usize = 32;

/// Places all groups. `latency` is what was measured for an application (first) at an
/// end-point (second), in seconds; `None` if nothing was.
///
/// Groups stay where they are unless their computer does not serve them any more, or the
/// sum of all expected latencies shrinks by enough (see [`Settings`]); nobody is moved to a
/// computer that was not measured. A computer takes no more than fit while another one has
/// room. Every move shrinks the sum and none is left that would shrink it by enough, so
/// that the same input, with everybody where this says, gives no moves.
pub fn place(
    groups: &[Group],
    computers: &[Computer],
    latency: impl Fn(&str, &str) -> Option<f64>,
    settings: &Settings,
) -> Plan {
    let table = Table::new(groups, computers, latency);
    let mut loads = empty_loads(computers, settings);
    let positions: HashMap<&str, usize> = computers
        .iter()
        .enumerate()
        .map(|(i, c)| (c.endpoint.as_str(), i))
        .collect();

    // Those who can stay do.
    let mut assigned: Vec<Option<usize>> = groups
        .iter()
        .map(|group| {
            let at = *positions.get(group.at.as_deref()?)?;
            computers[at].apps.contains(&group.app).then_some(at)
        })
        .collect();
    for (group, at) in assigned.iter().enumerate() {
        if let Some(at) = *at {
            loads[at].add(f64::from(groups[group].contexts), table.seconds(group, at));
        }
    }
    // The others, large groups first, go where they cost least.
    let mut homeless: Vec<_> = (0..groups.len())
        .filter(|group| assigned[*group].is_none())
        .collect();
    homeless.sort_by_key(|group| std::cmp::Reverse(groups[*group].contexts));
    for group in homeless {
        let contexts = f64::from(groups[group].contexts);
        if let Some(at) = cheapest(&table, &loads, group, contexts) {
            loads[at].add(contexts, table.seconds(group, at));
            assigned[group] = Some(at);
        }
    }
    improve(groups, &table, settings, &mut loads, &mut assigned);

    let moved = |(group, at): (&Group, &Option<usize>)| match (at, &group.at) {
        (Some(at), Some(was)) => computers[*at].endpoint != *was,
        _ => false,
    };
    let moves = groups
        .iter()
        .zip(&assigned)
        .filter(|pair| moved(*pair))
        .count();
    let cost = assigned.iter().enumerate().filter_map(|(group, at)| {
        let at = (*at)?;
        Some(loads[at].share(f64::from(groups[group].contexts), table.seconds(group, at)))
    });
    Plan {
        cost: cost.sum(),
        assigned,
        moves,
    }
}

/// Where one more context of `app`, of a client of whom nothing is known, should go, given
/// who is where. `current` is the end-point where such go now, which is kept unless another
/// one is better by enough.
pub fn default_route<'a>(
    app: &str,
    current: Option<&str>,
    groups: &[Group],
    computers: &'a [Computer],
    latency: impl Fn(&str, &str) -> Option<f64>,
    settings: &Settings,
) -> Option<&'a str> {
    let mut groups = groups.to_vec();
    groups.iter_mut().for_each(|group| group.pinned = true);
    groups.push(Group {
        client: String::new(),
        app: app.to_owned(),
        contexts: 1,
        at: current.map(str::to_owned),
        pinned: false,
    });
    let plan = place(&groups, computers, latency, settings);
    let at = plan.assigned.last().copied().flatten()?;
    Some(&computers[at].endpoint)
}

/// Moves whoever gains enough, until nobody does.
fn improve(
    groups: &[Group],
    table: &Table<'_>,
    settings: &Settings,
    loads: &mut [Load],
    assigned: &mut [Option<usize>],
) {
    for _ in 0..MAX_ROUNDS {
        let mut moved = false;
        for (number, group) in groups.iter().enumerate() {
            let Some(from) = assigned[number] else {
                continue;
            };
            let contexts = f64::from(group.contexts);
            let crowded = !loads[from].has_room(0.0);
            if group.pinned && !crowded {
                continue;
            }
            let here = table.seconds(number, from);
            let saved = loads[from].gain_of_removing(contexts, here);
            let enough = (settings.hysteresis * loads[from].share(contexts, here))
                .max(settings.least_gain * contexts);
            let better = (0..loads.len())
                .filter(|to| *to != from && loads[*to].has_room(contexts))
                .filter(|to| crowded || table.is_measured(number, *to))
                .filter_map(|to| {
                    let there = table.get(number, to)?;
                    let gain = saved - loads[to].cost_of_adding(contexts, there);
                    (crowded || gain >= enough).then_some((to, gain))
                })
                .max_by(|(_, a), (_, b)| a.total_cmp(b));
            if let Some((to, _)) = better {
                loads[from].add(-contexts, here);
                loads[to].add(contexts, table.seconds(number, to));
                assigned[number] = Some(to);
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

/// The computer where a group costs least; one that has room if there is any.
fn cheapest(table: &Table<'_>, loads: &[Load], group: usize, contexts: f64) -> Option<usize> {
    let serving = (0..loads.len()).filter_map(|at| Some((at, table.get(group, at)?)));
    let cost = |(at, seconds): (usize, f64)| {
        let load = &loads[at];
        (
            !load.has_room(contexts),
            load.cost_of_adding(contexts, seconds),
            at,
        )
    };
    let best = serving
        .map(cost)
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map(|(_, _, at)| at)
}

fn empty_loads(computers: &[Computer], settings: &Settings) -> Vec<Load> {
    let load = |computer: &Computer| {
        let workers = f64::from(computer.workers.max(1));
        Load::empty(
            workers * settings.comfort_per_worker,
            workers * settings.capacity_per_worker,
        )
    };
    computers.iter().map(load).collect()
}

/// Of each application, the latency at each computer.
struct Table<'a> {
    rows: HashMap<&'a str, Vec<Option<Entry>>>,
    groups: &'a [Group],
}

#[derive(Clone, Copy)]
struct Entry {
    seconds: f64,
    measured: bool,
}

/// What is taken for a latency where none of an application was measured, in seconds.
const UNKNOWN: f64 = 0.1;

impl<'a> Table<'a> {
    fn new(
        groups: &'a [Group],
        computers: &'a [Computer],
        latency: impl Fn(&str, &str) -> Option<f64>,
    ) -> Self {
        let apps: BTreeSet<&str> = groups.iter().map(|group| group.app.as_str()).collect();
        let row = |app: &'a str| {
            let serves = |computer: &&Computer| computer.apps.contains(app);
            let measured = |computer: &Computer| {
                latency(app, &computer.endpoint).filter(|s| s.is_finite() && *s > 0.0)
            };
            let mut known: Vec<f64> = computers
                .iter()
                .filter(serves)
                .filter_map(measured)
                .collect();
            known.sort_by(f64::total_cmp);
            // The others are taken for neither good nor bad.
            let median = known.get(known.len() / 2).copied().unwrap_or(UNKNOWN);
            let entries = computers.iter().map(|computer| {
                serves(&computer).then(|| {
                    let seconds = measured(computer);
                    Entry {
                        seconds: seconds.unwrap_or(median),
                        measured: seconds.is_some(),
                    }
                })
            });
            (app, entries.collect())
        };
        Self {
            rows: apps.into_iter().map(row).collect(),
            groups,
        }
    }

    fn entry(&self, group: usize, computer: usize) -> Option<Entry> {
        self.rows.get(self.groups[group].app.as_str())?[computer]
    }

    fn get(&self, group: usize, computer: usize) -> Option<f64> {
        self.entry(group, computer).map(|entry| entry.seconds)
    }

    /// Where the group is, or may be.
    fn seconds(&self, group: usize, computer: usize) -> f64 {
        self.get(group, computer).unwrap_or(UNKNOWN)
    }

    fn is_measured(&self, group: usize, computer: usize) -> bool {
        // Where nothing is measured, nothing speaks against any.
        let row = self.rows.get(self.groups[group].app.as_str());
        let any = row.is_some_and(|row| row.iter().flatten().any(|entry| entry.measured));
        !any || self
            .entry(group, computer)
            .is_some_and(|entry| entry.measured)
    }
}

#[cfg(test)]
mod tests;
