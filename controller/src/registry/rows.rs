//! The conformance rows F1 to F8 of the flat controller, in the notation of the reference's logs.

use std::time::Instant;

use super::tests::{computer, registry, router};
use super::{Effect, Registry, RouterAnnouncement};
use crate::names::Route;

/// What routers are told: `T: add lambda,dest …` and `T: del lambda,dest …`,
/// T being the end-point of the table.
fn log(registry: &Registry, effects: &[Effect]) -> Vec<String> {
    let line = |router, what: &str, entries: &[Route]| {
        let table = &registry.routers()[router].table;
        let entries: Vec<_> = entries
            .iter()
            .map(|route| format!("{},{}", route.lambda, route.destination))
            .collect();
        format!("{table}: {what} {}", entries.join(" "))
    };
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Install { router, entries } => Some(line(router, "add", entries)),
            Effect::Remove { router, entries } => Some(line(router, "del", entries)),
            _ => None,
        })
        .collect()
}

/// What the hooks of the reference are called with.
fn hooks(effects: &[Effect]) -> Vec<String> {
    let join = |lambdas: &[crate::names::LambdaName]| {
        let names: Vec<_> = lambdas.iter().map(ToString::to_string).collect();
        names.join(",")
    };
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::LambdaAdded(lambda) => Some(format!("addLambda {lambda}")),
            Effect::LambdaRemoved(lambda) => Some(format!("delLambda {lambda}")),
            Effect::ComputerAdded { computer, lambdas } => {
                Some(format!("addComputer {computer} {}", join(lambdas)))
            }
            Effect::ComputerRemoved { computer, lambdas } => {
                Some(format!("delComputer {computer} {}", join(lambdas)))
            }
            _ => None,
        })
        .collect()
}

struct World {
    registry: Registry,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self {
            registry: registry(),
            now: Instant::now(),
        }
    }

    fn announce(&mut self, address: &str, lambdas: &[&str]) -> Vec<Effect> {
        let announced = computer(address, lambdas);
        self.registry
            .announce_computer(self.now, announced)
            .unwrap()
    }

    fn computer(&mut self, address: &str, lambdas: &[&str]) -> Vec<String> {
        let effects = self.announce(address, lambdas);
        log(&self.registry, &effects)
    }

    fn remove(&mut self, address: &str) -> Vec<Effect> {
        let address = computer(address, &[]).address;
        self.registry.remove_computer(&address, 0)
    }

    fn router(&mut self, address: &str, table: &str) -> Vec<String> {
        let announced = RouterAnnouncement {
            lease: None,
            ..router(address, table)
        };
        let effects = self.registry.announce_router(self.now, announced).unwrap();
        log(&self.registry, &effects)
    }

    fn lambdas(&self) -> Vec<&str> {
        let lambdas = self.registry.lambdas().keys();
        lambdas.map(crate::names::LambdaName::as_str).collect()
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn f1_a_router_that_comes_last_gets_everything_in_one_batch() {
    let mut world = World::new();
    assert_eq!(world.computer("host0:6473", &["l0", "l1"]), NOTHING);
    assert_eq!(world.computer("host1:6473", &["l0", "l1"]), NOTHING);
    assert_eq!(world.computer("host2:6473", &["l0"]), NOTHING);
    assert_eq!(
        world.router("host3:6473", "host3:6474"),
        ["host3:6474: add l0,host0:6473 l1,host0:6473 l0,host1:6473 l1,host1:6473 l0,host2:6473"]
    );
    assert_eq!(
        world.computer("host4:6473", &["l0"]),
        ["host3:6474: add l0,host4:6473"]
    );
}

#[test]
fn f2_a_router_that_comes_first_gets_one_batch_per_computer() {
    let mut world = World::new();
    assert_eq!(world.router("host3:6473", "host3:6474"), NOTHING);
    assert_eq!(
        world.computer("host0:6473", &["l0", "l1"]),
        ["host3:6474: add l0,host0:6473 l1,host0:6473"]
    );
    assert_eq!(
        world.computer("host1:6473", &["l0", "l1"]),
        ["host3:6474: add l0,host1:6473 l1,host1:6473"]
    );
    assert_eq!(
        world.computer("host2:6473", &["l0"]),
        ["host3:6474: add l0,host2:6473"]
    );
    assert_eq!(
        world.router("host4:6473", "host4:6474"),
        ["host4:6474: add l0,host0:6473 l1,host0:6473 l0,host1:6473 l1,host1:6473 l0,host2:6473"]
    );
}

#[test]
fn f3_an_identical_announcement_changes_nothing() {
    let mut world = World::new();
    world.router("host3:6473", "host3:6474");
    world.computer("host0:6473", &["l0", "l1"]);
    assert_eq!(world.announce("host0:6473", &["l0", "l1"]), []);
    assert_eq!(world.announce("host0:6473", &["l0", "l1"]), []);
}

#[test]
fn f4_changed_containers_are_a_removal_and_a_batch() {
    let mut world = World::new();
    world.router("host3:6473", "host3:6474");
    world.computer("host0:6473", &["l0"]);
    assert_eq!(
        world.computer("host0:6473", &["l0", "l1"]),
        [
            "host3:6474: del l0,host0:6473",
            "host3:6474: add l0,host0:6473 l1,host0:6473"
        ]
    );
    assert_eq!(world.lambdas(), ["l0", "l1"]);
}

#[test]
fn f5_a_router_that_announces_again_gets_everything_again() {
    let mut world = World::new();
    world.computer("host0:6473", &["l0", "l1"]);
    let batch = "add l0,host0:6473 l1,host0:6473";
    for (router, table) in [
        ("host3:6473", "host3:6474"),
        ("host3:6473", "host3:6474"),
        ("host3:6473", "host3:16474"),
        ("host3:16473", "host3:16474"),
    ] {
        assert_eq!(world.router(router, table), [format!("{table}: {batch}")]);
    }
    // From then on the new end-point counts.
    assert_eq!(
        world.computer("host1:6473", &["l2"]),
        [
            "host3:16474: add l2,host1:6473",
            "host3:16474: add l2,host1:6473"
        ]
    );
}

#[test]
fn f6_a_router_is_told_the_same_whether_or_not_another_answers() {
    let mut world = World::new();
    world.router("host1:6473", "host1:6474");
    world.router("host2:6473", "host2:6474");
    world.computer("host0:6473", &["l0"]);
    let mut told = |lambdas| {
        let mut lines = world.computer("host0:6473", lambdas);
        lines.retain(|line| line.starts_with("host1:"));
        lines
    };
    assert_eq!(
        told(&["l0", "l1"]),
        [
            "host1:6474: del l0,host0:6473",
            "host1:6474: add l0,host0:6473 l1,host0:6473"
        ]
    );
    assert_eq!(
        told(&["l2"]),
        [
            "host1:6474: del l0,host0:6473 l1,host0:6473",
            "host1:6474: add l2,host0:6473"
        ]
    );
}

#[test]
fn f7_a_removed_computer_is_removed_from_all_routers() {
    let mut world = World::new();
    world.router("host0:6473", "host0:6474");
    world.router("host1:6473", "host1:6474");
    world.computer("host3:6473", &["l0"]);
    world.computer("host4:6473", &["l0"]);
    let effects = world.remove("host4:6473");
    assert_eq!(
        log(&world.registry, &effects),
        [
            "host0:6474: del l0,host4:6473",
            "host1:6474: del l0,host4:6473"
        ]
    );
    assert_eq!(world.lambdas(), ["l0"]);
    world.remove("host3:6473");
    assert_eq!(world.lambdas(), NOTHING);
    assert_eq!(world.remove("host3:6473"), []);
}

#[test]
fn f8_hooks_tell_of_lambdas_and_computers_as_they_come_and_go() {
    let mut world = World::new();
    let effects = world.announce("host0:6473", &["l0"]);
    assert_eq!(
        hooks(&effects),
        ["addLambda l0", "addComputer host0:6473 l0"]
    );
    let effects = world.announce("host1:6473", &["l0", "l1"]);
    assert_eq!(
        hooks(&effects),
        ["addLambda l1", "addComputer host1:6473 l0,l1"]
    );
    let effects = world.announce("host1:6473", &["l2"]);
    assert_eq!(
        hooks(&effects),
        [
            "delLambda l1",
            "delComputer host1:6473 l0,l1",
            "addLambda l2",
            "addComputer host1:6473 l2"
        ]
    );
    let effects = world.remove("host0:6473");
    assert_eq!(
        hooks(&effects),
        ["delLambda l0", "delComputer host0:6473 l0"]
    );
    assert_eq!(hooks(&world.remove("host0:6473")), NOTHING);
}
