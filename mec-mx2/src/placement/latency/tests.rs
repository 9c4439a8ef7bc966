//! Placement by properties: stable, within capacity, never to a computer that does not serve.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct World {
    groups: Vec<Group>,
    computers: Vec<Computer>,
    latencies: BTreeMap<(String, String), f64>,
}

impl World {
    fn place(&self, settings: &Settings) -> Plan {
        let latency = |app: &str, endpoint: &str| {
            self.latencies
                .get(&(app.to_owned(), endpoint.to_owned()))
                .copied()
        };
        place(&self.groups, &self.computers, latency, settings)
    }

    /// Everybody goes where the plan says.
    fn apply(&mut self, plan: &Plan) {
        for (group, at) in self.groups.iter_mut().zip(&plan.assigned) {
            group.at = at.map(|at| self.computers[at].endpoint.clone());
        }
    }
}

fn group(client: &str, contexts: u32, at: Option<&str>) -> Group {
    Group {
        client: client.to_owned(),
        app: "a".to_owned(),
        contexts,
        at: at.map(str::to_owned),
        pinned: false,
    }
}

fn computer(endpoint: &str) -> Computer {
    Computer {
        endpoint: endpoint.to_owned(),
        apps: BTreeSet::from(["a".to_owned()]),
        workers: 1,
    }
}

fn world(groups: Vec<Group>, latencies: &[(&str, f64)]) -> World {
    World {
        groups,
        computers: latencies
            .iter()
            .map(|(endpoint, _)| computer(endpoint))
            .collect(),
        latencies: latencies
            .iter()
            .filter(|(_, seconds)| *seconds > 0.0)
            .map(|(endpoint, seconds)| (("a".to_owned(), (*endpoint).to_owned()), *seconds))
            .collect(),
    }
}

#[test]
fn who_comes_goes_to_the_nearest_computer() {
    let plan = world(vec![group("c", 1, None)], &[("far", 0.05), ("near", 0.01)])
        .place(&Settings::default());
    assert_eq!((plan.assigned, plan.moves), (vec![Some(1)], 0));
}

#[test]
fn a_much_nearer_computer_is_worth_a_move_and_a_little_nearer_one_is_not() {
    let at = |seconds| {
        let world = world(
            vec![group("c", 1, Some("far"))],
            &[("far", 0.05), ("near", seconds)],
        );
        world.place(&Settings::default()).assigned[0]
    };
    assert_eq!(at(0.01), Some(1));
    assert_eq!(at(0.045), Some(0));
}

#[test]
fn nobody_is_moved_to_a_computer_that_was_not_measured() {
    let world = world(
        vec![group("c", 1, Some("far"))],
        &[("far", 5.0), ("new", 0.0)],
    );
    assert_eq!(world.place(&Settings::default()).moves, 0);
}

#[test]
fn who_has_lost_a_computer_gets_another_even_if_pinned() {
    let mut lost = group("c", 1, Some("gone"));
    lost.pinned = true;
    let plan = world(vec![lost], &[("far", 0.5), ("new", 0.0)]).place(&Settings::default());
    assert!(plan.assigned[0].is_some());
    assert_eq!(plan.moves, 1);
}

#[test]
fn a_crowd_is_spread_over_equal_computers() {
    let groups = (0..100).map(|n| group(&format!("c{n}"), 1, None)).collect();
    let plan = world(groups, &[("x", 0.01), ("y", 0.01)]).place(&Settings::default());
    let x = plan.assigned.iter().filter(|at| **at == Some(0)).count();
    assert!((40..=60).contains(&x), "{x}");
}

#[test]
fn new_clients_keep_their_default_unless_another_is_much_better() {
    let computers = [computer("x"), computer("y")];
    let default = |current, seconds: [f64; 2]| {
        let latency = |_: &str, endpoint: &str| Some(seconds[usize::from(endpoint == "y")]);
        default_route("a", current, &[], &computers, latency, &Settings::default())
    };
    assert_eq!(default(None, [0.02, 0.01]), Some("y"));
    assert_eq!(default(Some("x"), [0.011, 0.01]), Some("x"));
    assert_eq!(default(Some("x"), [0.03, 0.01]), Some("y"));
    assert_eq!(
        default_route(
            "b",
            None,
            &[],
            &computers,
            |_, _| None,
            &Settings::default()
        ),
        None
    );
}

fn worlds() -> impl Strategy<Value = World> {
    let apps = ["a", "b", "c"];
    let computers = prop::collection::vec(
        (prop::collection::btree_set(0..3_usize, 0..3), 1..4_u32),
        0..6,
    );
    let groups =
        prop::collection::vec((0..3_usize, 1..20_u32, prop::option::of(0..8_usize)), 0..25);
    let latencies = prop::collection::vec(prop::option::of(0.001..1.0), 24);
    (computers, groups, latencies).prop_map(move |(computers, groups, seconds)| {
        let computers: Vec<_> = computers
            .into_iter()
            .enumerate()
            .map(|(n, (served, workers))| Computer {
                endpoint: format!("e{n}"),
                apps: served.into_iter().map(|app| apps[app].to_owned()).collect(),
                workers,
            })
            .collect();
        let groups = groups
            .into_iter()
            .enumerate()
            .map(|(n, (app, contexts, at))| Group {
                client: format!("c{n}"),
                app: apps[app].to_owned(),
                contexts,
                at: at.map(|at| format!("e{at}")),
                pinned: false,
            });
        let mut latencies = BTreeMap::new();
        for (number, seconds) in seconds.into_iter().enumerate() {
            if let Some(seconds) = seconds {
                latencies.insert(
                    (apps[number % 3].to_owned(), format!("e{}", number / 3)),
                    seconds,
                );
            }
        }
        World {
            groups: groups.collect(),
            computers,
            latencies,
        }
    })
}

proptest! {
    #[test]
    fn everybody_is_where_they_are_served_and_nobody_is_left_out(world in worlds()) {
        let plan = world.place(&Settings::default());
        for (group, at) in world.groups.iter().zip(&plan.assigned) {
            let serving = world.computers.iter().any(|c| c.apps.contains(&group.app));
            prop_assert_eq!(at.is_some(), serving);
            if let Some(at) = at {
                prop_assert!(world.computers[*at].apps.contains(&group.app));
            }
        }
    }

    #[test]
    fn the_same_input_again_moves_nobody(mut world in worlds()) {
        let settings = Settings::default();
        let plan = world.place(&settings);
        world.apply(&plan);
        let again = world.place(&settings);
        prop_assert_eq!(again.moves, 0);
        prop_assert_eq!(again.assigned, plan.assigned);
    }

    #[test]
    fn moves_of_those_who_could_stay_pay(world in worlds()) {
        let settings = Settings::default();
        let mut stuck = world.clone();
        stuck.groups.iter_mut().for_each(|group| group.pinned = true);
        let (free, stuck) = (world.place(&settings), stuck.place(&settings));
        prop_assert!(free.cost <= stuck.cost + 1e-9, "{} > {}", free.cost, stuck.cost);
    }

    #[test]
    fn no_computer_takes_more_than_fits_while_one_has_room_for_the_smallest(world in worlds()) {
        let settings = Settings { capacity_per_worker: 20.0, ..Settings::default() };
        let mut world = world;
        world.groups.iter_mut().for_each(|group| { group.contexts = 1; group.at = None; });
        let plan = world.place(&settings);
        let load = |at: usize| plan.assigned.iter().filter(|a| **a == Some(at)).count();
        let fits = |at: usize| 20 * world.computers[at].workers as usize;
        for (group, at) in world.groups.iter().zip(&plan.assigned) {
            let Some(at) = *at else { continue };
            if load(at) > fits(at) {
                let room = (0..world.computers.len()).any(|other| {
                    world.computers[other].apps.contains(&group.app) && load(other) < fits(other)
                });
                prop_assert!(!room);
            }
        }
    }
}
