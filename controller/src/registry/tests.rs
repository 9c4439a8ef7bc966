//! Leases, probes, generations and bounds of the registry, on virtual time.

use std::time::{Duration, Instant};

use super::{Bounds, ComputerAnnouncement, Container, Effect, Probe, Registry, RouterAnnouncement};
use crate::names::{Address, LambdaName};

const LEASE: Duration = Duration::from_secs(10);

pub(super) fn registry() -> Registry {
    let bounds = Bounds {
        computers: 5,
        containers: 10,
        routers: 5,
        probe_failures: 3,
        forget_after: Duration::from_secs(60),
        grace: Duration::from_secs(30),
    };
    Registry::new(bounds, Instant::now())
}

fn address(text: &str) -> Address {
    text.parse::<edge_transport::Endpoint>().unwrap().into()
}

pub(super) fn computer(at: &str, lambdas: &[&str]) -> ComputerAnnouncement {
    let container = |(i, lambda): (usize, &&str)| Container {
        name: format!("cont{i}"),
        processor: "cpu0".to_owned(),
        lambda: LambdaName::try_from(*lambda).unwrap(),
        workers: 2,
    };
    ComputerAnnouncement {
        address: address(at),
        containers: lambdas.iter().enumerate().map(container).collect(),
        lease: None,
        generation: 0,
    }
}

fn leased(at: &str, lambdas: &[&str], generation: u64) -> ComputerAnnouncement {
    ComputerAnnouncement {
        lease: Some(LEASE),
        generation,
        ..computer(at, lambdas)
    }
}

pub(super) fn router(at: &str, table: &str) -> RouterAnnouncement {
    RouterAnnouncement {
        address: address(at),
        table: table.parse().unwrap(),
        lease: Some(LEASE),
        generation: 1,
    }
}

/// What routers are told, in short.
fn told(effects: &[Effect]) -> Vec<String> {
    let entries = |entries: &[crate::names::Route]| {
        let names: Vec<_> = entries.iter().map(|r| r.lambda.as_str()).collect();
        names.join(",")
    };
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Connect { table, .. } => Some(format!("connect {table}")),
            Effect::Disconnect { router } => Some(format!("disconnect {router}")),
            Effect::Install { entries: e, .. } => Some(format!("add {}", entries(e))),
            Effect::Ensure { entries: e, .. } => Some(format!("ensure {}", entries(e))),
            Effect::Remove { entries: e, .. } => Some(format!("del {}", entries(e))),
            Effect::Reconcile { .. } => Some("reconcile".to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_computer_that_renews_stays_and_one_that_does_not_is_withdrawn_when_its_lease_ends() {
    let (mut registry, start) = (registry(), Instant::now());
    registry
        .announce_router(start, router("r:1", "r:2"))
        .unwrap();
    let mut now = start;
    for _ in 0..5 {
        registry
            .announce_computer(now, leased("c:1", &["l0"], 1))
            .unwrap();
        registry.announce_router(now, router("r:1", "r:2")).unwrap();
        now += Duration::from_secs(9);
        assert_eq!(registry.expire(now), []);
    }
    registry.announce_router(now, router("r:1", "r:2")).unwrap();
    assert_eq!(registry.next_expiry(), Some(now + Duration::from_secs(1)));
    let effects = registry.expire(now + Duration::from_secs(1));
    assert_eq!(told(&effects), ["del l0"]);
    assert!(registry.computers().is_empty());
    assert!(registry.lambdas().is_empty());
}

#[test]
fn a_renewal_with_other_lambdas_tells_routers_only_the_difference() {
    let (mut registry, now) = (registry(), Instant::now());
    registry.announce_router(now, router("r:1", "r:2")).unwrap();
    let mut announce = |lambdas, generation| {
        let effects = registry.announce_computer(now, leased("c:1", lambdas, generation));
        told(&effects.unwrap())
    };
    assert_eq!(announce(&["l0", "l1"], 1), ["ensure l0,l1"]);
    assert_eq!(announce(&["l1", "l2"], 2), ["del l0", "ensure l2"]);
    assert_eq!(announce(&["l1", "l1", "l2"], 3), [""; 0]);
}

#[test]
fn a_message_that_was_overtaken_by_a_newer_generation_is_ignored() {
    let (mut registry, now) = (registry(), Instant::now());
    registry
        .announce_computer(now, leased("c:1", &["l0"], 7))
        .unwrap();
    let effects = registry
        .announce_computer(now, leased("c:1", &["l1"], 6))
        .unwrap();
    assert_eq!(effects, []);
    assert_eq!(registry.remove_computer(&address("c:1"), 6), []);
    assert!(registry.computers().contains_key(&address("c:1")));
    assert_ne!(registry.remove_computer(&address("c:1"), 7), []);
}

#[test]
fn a_renewing_router_is_reconciled_when_it_is_new_has_moved_or_restarted_and_left_alone_otherwise()
{
    let (mut registry, now) = (registry(), Instant::now());
    registry
        .announce_computer(now, leased("c:1", &["l0"], 1))
        .unwrap();
    let mut announce = |table| told(&registry.announce_router(now, router("r:1", table)).unwrap());
    assert_eq!(announce("r:2"), ["connect r:2", "reconcile"]);
    assert_eq!(announce("r:2"), [""; 0]);
    assert_eq!(announce("r:3"), ["connect r:3", "reconcile"]);
    assert_eq!(announce("r:3"), [""; 0]);
    let restarted = RouterAnnouncement {
        generation: 2,
        ..router("r:1", "r:3")
    };
    for expected in [&["connect r:3", "reconcile"][..], &[]] {
        let effects = registry.announce_router(now, restarted.clone());
        assert_eq!(told(&effects.unwrap()), expected);
    }
    let effects = registry.expire(now + LEASE);
    assert_eq!(told(&effects), ["del l0", "disconnect r:1"]);
}

#[test]
fn a_computer_that_never_renews_is_withdrawn_after_three_failed_probes_and_reinstated_by_one_answer()
 {
    let (mut registry, now) = (registry(), Instant::now());
    registry.announce_router(now, router("r:1", "r:2")).unwrap();
    registry
        .announce_computer(now, computer("c:1", &["l0"]))
        .unwrap();
    assert_eq!(
        registry.expire(now + LEASE * 100).len(),
        1,
        "only the router expires"
    );
    registry.announce_router(now, router("r:1", "r:2")).unwrap();
    assert_eq!(registry.to_probe(), [address("c:1")]);

    let mut probe = |probe| told(&registry.probed(now, &address("c:1"), probe));
    let (up, down) = (Probe::Answered, Probe::Failed);
    assert_eq!([down, down, up, down, down].map(&mut probe), [[""; 0]; 5]);
    assert_eq!(probe(down), ["del l0"]);
    assert_eq!(probe(down), [""; 0]);
    assert_eq!(probe(up), ["ensure l0"]);
    assert_eq!(probe(up), [""; 0]);
}

#[test]
fn a_withdrawn_computer_is_back_when_it_announces_itself_and_forgotten_after_long_silence() {
    let (mut registry, now) = (registry(), Instant::now());
    registry.announce_router(now, router("r:1", "r:2")).unwrap();
    let announced = || computer("c:1", &["l0"]);
    let fail_thrice = |registry: &mut Registry| {
        for _ in 0..3 {
            registry.probed(now, &address("c:1"), Probe::Failed);
        }
    };
    registry.announce_computer(now, announced()).unwrap();
    fail_thrice(&mut registry);
    assert!(registry.desired().is_empty());
    let effects = registry.announce_computer(now, announced()).unwrap();
    assert_eq!(told(&effects), ["add l0"]);
    assert_eq!(registry.desired().len(), 1);

    fail_thrice(&mut registry);
    let later = now + Duration::from_secs(59);
    registry.probed(later, &address("c:1"), Probe::Failed);
    assert_eq!(registry.to_probe().len(), 1);
    let later = now + Duration::from_secs(60);
    registry.probed(later, &address("c:1"), Probe::Failed);
    assert!(registry.computers().is_empty());
}

#[test]
fn a_computer_that_begins_to_renew_does_not_depend_on_probes_any_more() {
    let (mut registry, now) = (registry(), Instant::now());
    registry
        .announce_computer(now, computer("c:1", &["l0"]))
        .unwrap();
    let effects = registry.announce_computer(now, leased("c:1", &["l0"], 1));
    assert_eq!(effects, Ok(Vec::new()));
    assert_eq!(registry.to_probe(), []);
    for _ in 0..3 {
        assert_eq!(registry.probed(now, &address("c:1"), Probe::Failed), []);
    }
    // And one that ceases to renew does.
    registry
        .announce_computer(now, computer("c:1", &["l0"]))
        .unwrap();
    assert_eq!(registry.next_expiry(), None);
    assert_eq!(registry.to_probe(), [address("c:1")]);
}

#[test]
fn newcomers_beyond_the_bounds_are_refused_and_those_known_are_not() {
    let (mut registry, now) = (registry(), Instant::now());
    for i in 0..5 {
        let at = format!("c:{}", i + 1);
        registry
            .announce_computer(now, computer(&at, &["l0"]))
            .unwrap();
        registry.announce_router(now, router(&at, "t:1")).unwrap();
    }
    let refused = registry.announce_computer(now, computer("c:9", &["l0"]));
    let text = "the controller knows 5 computers already, which is its limit";
    assert_eq!(refused.unwrap_err().to_string(), text);
    let refused = registry.announce_router(now, router("c:9", "t:1"));
    let text = "the controller knows 5 routers already, which is its limit";
    assert_eq!(refused.unwrap_err().to_string(), text);
    assert!(
        registry
            .announce_computer(now, computer("c:1", &["l1"]))
            .is_ok()
    );
    assert!(registry.announce_router(now, router("c:1", "t:2")).is_ok());
}

#[test]
fn containers_are_counted_over_all_computers_however_they_come_and_go() {
    let (mut registry, now) = (registry(), Instant::now());
    let six = ["l0", "l1", "l2", "l3", "l4", "l5"];
    let five = &six[..5];
    for _ in 0..3 {
        registry
            .announce_computer(now, computer("c:1", five))
            .unwrap();
        registry
            .announce_computer(now, leased("c:2", five, 0))
            .unwrap();
        let refused = registry.announce_computer(now, computer("c:1", &six));
        let text = "the controller knows 10 containers already, which is its limit";
        assert_eq!(refused.unwrap_err().to_string(), text);
        // Withdrawn, then forgotten; and a lease that ends.
        for _ in 0..3 {
            registry.probed(now, &address("c:1"), Probe::Failed);
        }
        let later = now + Duration::from_secs(60);
        registry.probed(later, &address("c:1"), Probe::Failed);
        registry.expire(later);
        assert!(registry.computers().is_empty());
    }
    assert!(
        registry
            .announce_computer(now, computer("c:1", &six))
            .is_ok()
    );
}

#[test]
fn only_routers_that_never_renew_are_forgotten_for_being_unreachable() {
    let (mut registry, now) = (registry(), Instant::now());
    registry.announce_router(now, router("r:1", "r:2")).unwrap();
    assert_eq!(registry.forget_unreachable_router(&address("r:1")), []);
    let unleased = RouterAnnouncement {
        lease: None,
        ..router("r:1", "r:2")
    };
    registry.announce_router(now, unleased).unwrap();
    assert_eq!(registry.next_expiry(), None);
    let effects = registry.forget_unreachable_router(&address("r:1"));
    assert_eq!(told(&effects), ["disconnect r:1"]);
    assert!(registry.routers().is_empty());
}

#[test]
fn destinations_of_before_the_start_are_gone_once_time_and_probes_are_over() {
    let (mut registry, start) = (registry(), Instant::now());
    let (silent, serving) = (address("a:1"), address("b:1"));
    for at in [&silent, &serving] {
        assert!(!registry.is_gone(at));
    }
    assert_eq!(registry.to_probe(), [silent.clone(), serving.clone()]);
    for _ in 0..10 {
        assert_eq!(registry.probed(start, &silent, Probe::Failed), []);
    }
    assert!(!registry.is_gone(&silent), "it may announce itself yet");

    let settled = start + Duration::from_secs(31);
    assert!(!registry.is_settled(start) && registry.is_settled(settled));
    registry.probed(settled, &silent, Probe::Failed);
    assert!(registry.is_gone(&silent));
    for _ in 0..10 {
        for probe in [Probe::Failed, Probe::Failed, Probe::Answered] {
            registry.probed(settled, &serving, probe);
        }
    }
    assert!(!registry.is_gone(&serving), "one that never renews");
    assert_eq!(registry.to_probe(), [serving]);
}

#[test]
fn whoever_was_announced_and_left_is_gone_at_once_until_it_comes_back() {
    let (mut registry, start) = (registry(), Instant::now());
    let at = address("a:1");
    assert!(!registry.is_gone(&at));
    registry
        .announce_computer(start, leased("a:1", &["l0"], 1))
        .unwrap();
    assert_eq!(registry.to_probe(), []);
    assert!(registry.is_gone(&at), "what else it served is not served");
    registry.remove_computer(&at, 1);
    assert!(registry.is_gone(&at));
    assert_eq!(registry.to_probe(), []);
}

#[test]
fn strangers_are_bounded_and_the_others_are_left_alone() {
    let (mut registry, start) = (registry(), Instant::now());
    let settled = start + Duration::from_secs(31);
    let at = |number: usize| address(&format!("a:{}", number + 1));
    for round in 0..2 {
        for number in 0..20 {
            assert_eq!(registry.is_gone(&at(number)), round == 1 && number < 5);
        }
        assert!(registry.to_probe().len() == 5);
        for number in 0..5 {
            for _ in 0..3 {
                registry.probed(settled, &at(number), Probe::Failed);
            }
        }
    }
}
