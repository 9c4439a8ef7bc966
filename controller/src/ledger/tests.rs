//! What is added, made final and removed, where routers say whose entries are and where they do not.

use super::*;
use crate::names::testing::route;

/// A table of a router that does not say whose its entries are.
fn table(entries: &[(&str, &str, f32, bool)]) -> Reading {
    let whose = Whose::Unsaid;
    let entry = |&(lambda, destination, weight, is_final)| {
        let shown = Shown {
            weight,
            is_final,
            whose,
        };
        (route(lambda, destination), shown)
    };
    Reading {
        entries: entries.iter().map(entry).collect(),
        has_owners: false,
    }
}

/// A table of final entries, and whose they are.
fn owned(entries: &[(&str, &str, Whose)]) -> Reading {
    let entry = |&(lambda, destination, whose)| {
        let shown = Shown {
            weight: 0.5,
            is_final: true,
            whose,
        };
        (route(lambda, destination), shown)
    };
    Reading {
        entries: entries.iter().map(entry).collect(),
        has_owners: true,
    }
}

/// Of routers that do not say whose entries are it does not matter.
fn is_gone(_: &Address) -> bool {
    unreachable!("nobody asks")
}

fn add(lambda: &str, destination: &str, weight: f32) -> Order {
    let route = route(lambda, destination);
    Order::Change { route, weight }
}

#[test]
fn only_missing_entries_are_added_and_learnt_weights_are_left_alone() {
    let shown = table(&[("l0", "a:1", 0.003, true)]);
    let desired = [route("l0", "a:1"), route("l1", "a:1")];
    let (orders, differences) = Ledger::default().difference(shown.clone(), &desired, is_gone);
    assert_eq!(orders, [add("l1", "a:1", 1.0)]);
    assert_eq!(differences.missing, 1);
    let full = table(&[("l0", "a:1", 0.003, true), ("l1", "a:1", 7.0, true)]);
    let (orders, differences) = Ledger::default().difference(full, &desired, is_gone);
    assert_eq!((orders, differences), (Vec::new(), Differences::default()));
}

#[test]
fn an_entry_that_is_not_final_becomes_so_with_the_weight_that_it_has() {
    let desired = [route("l0", "a:1")];
    for (weight, expected) in [
        (0.5, 0.5),
        (f32::NAN, 1.0),
        (0.0, 1.0),
        (f32::INFINITY, 1.0),
    ] {
        let shown = table(&[("l0", "a:1", weight, false)]);
        let (orders, differences) = Ledger::default().difference(shown.clone(), &desired, is_gone);
        assert_eq!(orders, [add("l0", "a:1", expected)]);
        assert_eq!(differences.finality, 1);
    }
}

#[test]
fn what_was_ours_is_removed_until_it_is_gone_and_what_others_put_in_stays() {
    let mut ledger = Ledger::default();
    let shown = table(&[("l0", "a:1", 1.0, true), ("l0", "manual:1", 1.0, true)]);
    // Found there, as after a restart of the controller: ours from now on.
    let (orders, _) = ledger.difference(shown.clone(), &[route("l0", "a:1")], is_gone);
    assert_eq!(orders, []);
    for _ in 0..2 {
        let (orders, differences) = ledger.difference(shown.clone(), &[], is_gone);
        let remove = Order::Remove {
            route: route("l0", "a:1"),
        };
        assert_eq!(orders, [remove]);
        assert_eq!(differences.stale, 1);
    }
    ledger.difference(table(&[]), &[], is_gone);
    // Once it was gone, the next one is somebody else's.
    assert_eq!(ledger.difference(shown.clone(), &[], is_gone).0, []);
}

#[test]
fn removals_that_a_silent_router_missed_are_made_up_for() {
    let mut ledger = Ledger::default();
    ledger.postpone(vec![
        (route("l0", "a:1"), Wish::Remove),
        (route("l1", "a:1"), Wish::Install),
    ]);
    let shown = table(&[("l0", "a:1", 1.0, true), ("l1", "a:1", 1.0, true)]);
    let remove = Order::Remove {
        route: route("l0", "a:1"),
    };
    assert_eq!(ledger.difference(shown.clone(), &[], is_gone).0, [remove]);
}

#[test]
fn what_shall_be_there_is_added_only_where_it_is_missing() {
    let mut ledger = Ledger::default();
    let ensure = || vec![(route("l0", "a:1"), Wish::Ensure)];
    assert!(ledger.has_to_read(&ensure()));
    assert!(!ledger.has_to_read(&[(route("l0", "a:1"), Wish::Install)]));
    ledger.difference(table(&[("l0", "a:1", 0.003, true)]), &[], is_gone);
    assert!(!ledger.has_to_read(&ensure()));
    assert_eq!(ledger.orders(ensure()), []);

    let remove = ledger.orders(vec![(route("l0", "a:1"), Wish::Remove)]);
    ledger.accepted(&remove[0]);
    let add = [add("l0", "a:1", 1.0)];
    assert_eq!(ledger.orders(ensure()), add);
    ledger.accepted(&add[0]);
    assert_eq!(ledger.orders(ensure()), []);
    // A router that failed may have lost everything.
    ledger.postpone(Vec::new());
    assert!(ledger.has_to_read(&ensure()));
}

#[test]
fn the_same_refusal_is_news_once() {
    let mut ledger = Ledger::default();
    let order = add("l0", "a:1", 1.0);
    assert!(ledger.refused(&order));
    assert!(!ledger.refused(&order));
    ledger.accepted(&order);
    assert!(ledger.refused(&order));
}

#[test]
fn what_is_ours_at_a_router_that_says_so_is_removed_whoever_put_it_in() {
    let (ours, others) = (Whose::Ours, Whose::Others);
    let shown = || {
        owned(&[
            ("l0", "a:1", ours),
            ("l1", "a:1", ours),
            ("l1", "b:1", others),
        ])
    };
    let desired = [route("l0", "a:1")];
    let mut ledger = Ledger::default();
    let (orders, differences) = ledger.difference(shown(), &desired, |_| true);
    let remove = Order::Remove {
        route: route("l1", "a:1"),
    };
    assert_eq!(orders, [remove]);
    assert_eq!(differences.stale, 1);
    // Not before it is known that nobody is there.
    let mut asked = Vec::new();
    let (orders, _) = ledger.difference(shown(), &[], |destination| {
        asked.push(destination.to_string());
        false
    });
    assert_eq!(orders, []);
    assert_eq!(asked, ["a:1"]);
}

#[test]
fn what_others_have_taken_over_is_left_alone_even_if_it_is_wanted() {
    let mut ledger = Ledger::default();
    let wanted = [route("l0", "a:1")];
    ledger.difference(owned(&[]), &wanted, |_| true);
    ledger.accepted(&add("l0", "a:1", 1.0));
    let mut taken = owned(&[("l0", "a:1", Whose::Others)]);
    for entry in taken.entries.values_mut() {
        entry.is_final = false;
    }
    assert_eq!(ledger.difference(taken.clone(), &wanted, |_| true).0, []);
    assert_eq!(ledger.difference(taken, &[], |_| true).0, []);
    // The router does not remove it for us, and does not get it again.
    let removal = ledger.orders(vec![(route("l0", "a:1"), Wish::Remove)]);
    ledger.accepted(&removal[0]);
    let ensure = vec![(route("l0", "a:1"), Wish::Ensure)];
    assert_eq!(ledger.orders(ensure), []);
}

#[test]
fn nothing_is_remembered_of_what_the_router_says() {
    let mut ledger = Ledger::default();
    let gone = || vec![(route("l0", "a:1"), Wish::Remove)];
    // Not known yet: it may be a router that does not say.
    ledger.postpone(gone());
    assert_eq!(ledger.ours.len(), 1);
    let table = || owned(&[("l0", "a:1", Whose::Others)]);
    assert_eq!(
        ledger
            .difference(table(), &[route("l1", "a:1")], |_| true)
            .0
            .len(),
        1
    );
    ledger.orders(gone());
    ledger.postpone(gone());
    assert_eq!(ledger.ours.len(), 0);
}
