//! What a proxy has to be told, given what it knows and who serves what how fast: no clock, no
//! sockets.

use std::collections::{BTreeMap, BTreeSet};

use mec_mx2::placement::{Computer, Group, Settings, default_route, place};

use super::proxy::{Known, Routes};

/// One call to a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    AddLambda(String),
    Associate {
        client: String,
        app: String,
        server: String,
    },
    Dissociate {
        client: String,
        app: String,
    },
    RemoveLambda(String),
}

/// Whom to leave alone.
#[derive(Debug, Default)]
pub(crate) struct Restraint {
    /// Clients and applications that have been moved just now.
    pub(crate) settling: BTreeSet<(String, String)>,
    /// Whether computers that were never seen may be on their way, as after a start of the
    /// controller: what concerns them stays as it is.
    pub(crate) starting: bool,
    /// The end-points of all computers that were ever seen.
    pub(crate) seen: BTreeSet<String>,
    /// All lambdas that were ever seen.
    pub(crate) seen_apps: BTreeSet<String>,
}

impl Restraint {
    /// Whether the computer at `endpoint` may come back in a moment.
    fn spares(&self, endpoint: &str) -> bool {
        self.starting && !self.seen.contains(endpoint)
    }
}

/// All that a proxy has to be told, in this order: new lambdas; routes of single clients, so
/// that whoever shall stay does; default routes; the end of routes that have become
/// superfluous, or lead to computers that are gone; and lambdas that nobody serves any more,
/// after their routes. Only clients that go elsewhere than by default have routes of their own.
pub(crate) fn orders(
    known: &Known,
    computers: &[Computer],
    latency: impl Fn(&str, &str) -> Option<f64> + Copy,
    restraint: &Restraint,
) -> Vec<Order> {
    let settings = Settings::default();
    let apps: BTreeSet<&String> = computers.iter().flat_map(|c| &c.apps).collect();
    let groups = groups(known, restraint);
    let plan = place(&groups, computers, latency, &settings);
    let placed: Vec<Group> = groups
        .iter()
        .zip(&plan.assigned)
        .map(|(group, at)| Group {
            at: at.map(|at| computers[at].endpoint.clone()),
            ..group.clone()
        })
        .collect();

    let mut wanted = Routes::new();
    for app in &apps {
        let current = known.routes.get(&((*app).clone(), String::new()));
        let server = match current {
            Some(current) if restraint.spares(current) => Some(current.as_str()),
            current => default_route(
                app,
                current.map(String::as_str),
                &placed,
                computers,
                latency,
                &settings,
            ),
        };
        if let Some(server) = server {
            wanted.insert(((*app).clone(), String::new()), server.to_owned());
        }
    }
    for group in placed {
        let default = wanted.get(&(group.app.clone(), String::new()));
        if let Some(at) = group.at
            && default != Some(&at)
        {
            wanted.insert((group.app, group.client), at);
        }
    }
    difference(known, &wanted, &apps, restraint)
}

/// The contexts by client and application, except those that are left alone.
fn groups(known: &Known, restraint: &Restraint) -> Vec<Group> {
    let mut groups: BTreeMap<(&str, &str), Group> = BTreeMap::new();
    for context in &known.contexts {
        if !context.at.is_empty() && restraint.spares(&context.at) {
            continue;
        }
        let key = (context.app.as_str(), context.client.as_str());
        let group = groups.entry(key).or_insert_with(|| {
            let moved = (context.client.clone(), context.app.clone());
            Group {
                client: context.client.clone(),
                app: context.app.clone(),
                contexts: 0,
                at: (!context.at.is_empty()).then(|| context.at.clone()),
                pinned: restraint.settling.contains(&moved)
                    || known.continuous.contains(&context.app),
            }
        });
        group.contexts += 1;
    }
    groups.into_values().collect()
}

fn difference(
    known: &Known,
    wanted: &Routes,
    apps: &BTreeSet<&String>,
    restraint: &Restraint,
) -> Vec<Order> {
    let mut orders = Vec::new();
    let listed = |app: &String| {
        known
            .apps
            .as_ref()
            .is_some_and(|listed| listed.contains(app))
    };
    for app in apps.iter().filter(|app| !listed(app)) {
        // A proxy that does not tell is told when the lambda is new.
        if known.apps.is_some() || !restraint.seen_apps.contains(*app) {
            orders.push(Order::AddLambda((*app).clone()));
        }
    }
    let is_default = |route: &(&(String, String), &String)| route.0.1.is_empty();
    let changed = |route: &(&(String, String), &String)| known.routes.get(route.0) != Some(route.1);
    let associate = |((app, client), server): (&(String, String), &String)| Order::Associate {
        client: client.clone(),
        app: app.clone(),
        server: server.clone(),
    };
    let new = || wanted.iter().filter(changed);
    orders.extend(new().filter(|route| !is_default(route)).map(associate));
    orders.extend(new().filter(is_default).map(associate));
    for ((app, client), server) in &known.routes {
        let kept = wanted.contains_key(&(app.clone(), client.clone())) || restraint.spares(server);
        if !kept {
            orders.push(Order::Dissociate {
                client: client.clone(),
                app: app.clone(),
            });
        }
    }
    let gone = match &known.apps {
        Some(listed) => listed
            .iter()
            .filter(|app| !apps.contains(app))
            .collect::<Vec<_>>(),
        None => restraint
            .seen_apps
            .iter()
            .filter(|app| !apps.contains(app))
            .collect(),
    };
    for app in gone {
        if !restraint.starting || restraint.seen_apps.contains(app) {
            orders.push(Order::RemoveLambda(app.clone()));
        }
    }
    orders
}

#[cfg(test)]
mod tests;
