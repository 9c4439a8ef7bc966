//! Changing and showing tables.

use crate::{Bench, L, exponents, seconds};
use edge_balance::{
    Destinations, ForwardingTable, Nanos, NoDestination, Owner, PolicyConfig, PolicyKeys, Report,
    RouteChange, TableError, Tried,
};
use std::sync::Arc;

const NOW: Nanos = Nanos::from_secs(1);

fn table(policy: PolicyConfig) -> ForwardingTable {
    ForwardingTable::new(policy, Arc::new(Destinations::new()))
}

fn no_destinations(destination: Option<&str>) -> TableError {
    TableError::NoDestinations {
        destination: destination.map(str::to_owned),
    }
}

fn invalid_destination(destination: &str, weight: f32) -> TableError {
    TableError::InvalidDestination {
        destination: destination.to_owned(),
        weight,
    }
}

/// The table that rows FT2 to FT4 work on.
fn reference_table() -> ForwardingTable {
    let table = table(PolicyConfig::Random);
    for (lambda, destination, weight, is_final) in [
        ("lambda1", "dest1:666", 1.0, true),
        ("lambda1", "dest2:666", 0.5, false),
        ("lambda1", "dest2:667", 99.0, true),
        ("lambda2", "dest1:666", 1.0, true),
        ("lambda2", "dest2:666", 0.5, false),
        ("another_lambda", "dest3:666", 42.0, false),
    ] {
        table
            .change(lambda, destination, weight, is_final, NOW)
            .unwrap();
    }
    table
}

#[test]
fn a_route_belongs_to_whoever_it_was_given_to_until_it_is_removed() {
    let (table, someone) = (reference_table(), Owner::numbered(7).unwrap());
    let shown = |table: &ForwardingTable| table.page(3, 1)[0].owner;
    assert_eq!(shown(&table), Owner::NOBODY);
    assert!(table.set_owner("lambda1", "dest2:667", someone));
    assert_eq!(table.owner("lambda1", "dest2:667"), Some(someone));
    assert_eq!(shown(&table), someone);
    assert_eq!(table.owners(), [Owner::NOBODY, someone].into());
    for (lambda, destination) in [("lambda1", "dest3:666"), ("lambda9", "dest1:666")] {
        assert!(!table.set_owner(lambda, destination, someone));
        assert_eq!(table.owner(lambda, destination), None);
    }
    table.remove("lambda1", "dest2:667", NOW);
    table
        .change("lambda1", "dest2:667", 1.0, true, NOW)
        .unwrap();
    assert_eq!(shown(&table), Owner::NOBODY);
}

#[test]
fn a_change_can_say_whose_the_route_is_and_answers_whether_it_is_new() {
    let table = table(PolicyConfig::LeastCost);
    let change = |destination, weight| RouteChange {
        destination,
        weight,
        is_final: weight < 2.0,
    };
    let [one, other] = [1, 2].map(|number| Owner::numbered(number).unwrap());
    // A lambda, a route, and neither of them new.
    for (destination, weight, owner, is_new) in [
        ("a:1", 1.0, one, true),
        ("b:1", 1.0, other, true),
        ("a:1", 3.0, other, false),
        ("a:1", 3.0, Owner::NOBODY, false),
    ] {
        let changed = table.change_owned("f", change(destination, weight), owner, NOW);
        assert_eq!(changed, Ok(is_new));
        let mut rows = table.page(0, 10).into_iter();
        let row = rows.find(|row| row.destination == destination).unwrap();
        assert_eq!((row.weight, row.is_final), (weight, weight < 2.0));
        assert_eq!((row.owner, row.lambda.as_str()), (owner, "f"));
    }
    assert_eq!(table.len(), 2);
    let wrong = table.change_owned("f", change("a:1", -1.0), one, NOW);
    assert_eq!(wrong, Err(TableError::InvalidWeight(-1.0)));
    assert_eq!(table.owner("f", "a:1"), Some(Owner::NOBODY));
}

#[test]
fn ft2_tables_print_sorted_and_in_columns() {
    let expected = "\
another_lambda [42 ] dest3:666
lambda1        [1  ] dest1:666 (F)
               [0.5] dest2:666
               [99 ] dest2:667 (F)
lambda2        [1  ] dest1:666 (F)
               [0.5] dest2:666
";
    assert_eq!(reference_table().to_string(), expected);
}

#[test]
fn ft3_removing_and_weighing_show() {
    let table = reference_table();
    assert!(table.remove("lambda1", "dest2:666", NOW));
    assert!(
        !table
            .to_string()
            .contains("               [0.5] dest2:666\nlambda1")
    );
    assert_eq!(table.len(), 5);
    table
        .update_weight("lambda1", "dest2:667", 98.0, NOW)
        .unwrap();
    assert!(
        table
            .to_string()
            .contains("               [98 ] dest2:667 (F)\n")
    );
    table.multiply("lambda1", "dest2:667", 0.5, NOW).unwrap();
    let expected = "\
another_lambda [42 ] dest3:666
lambda1        [1  ] dest1:666 (F)
               [49 ] dest2:667 (F)
lambda2        [1  ] dest1:666 (F)
               [0.5] dest2:666
";
    assert_eq!(table.to_string(), expected);
}

#[test]
fn ft4_a_lambda_goes_with_its_last_destination_and_columns_follow() {
    let table = reference_table();
    for destination in ["dest1:666", "dest2:666", "dest2:667"] {
        assert!(table.remove("lambda1", destination, NOW));
    }
    let expected = "\
another_lambda [42 ] dest3:666
lambda2        [1  ] dest1:666 (F)
               [0.5] dest2:666
";
    assert_eq!(table.to_string(), expected);
    assert!(table.remove_lambda("another_lambda"));
    assert_eq!(
        table.to_string(),
        "lambda2 [1  ] dest1:666 (F)\n        [0.5] dest2:666\n"
    );
    assert!(table.remove_lambda("lambda2"));
    assert!(!table.remove_lambda("lambda2"));
    assert_eq!(table.to_string(), "");
    assert!(table.lambdas().is_empty());
}

#[test]
fn ft5_weighing_needs_a_destination() {
    let refused = table(PolicyConfig::Random).update_weight("lambda1", "", 1.0, NOW);
    assert_eq!(refused, Err(no_destinations(None)));
}

#[test]
fn ft6_changing_needs_a_destination() {
    let table = table(PolicyConfig::Random);
    let refused = table.change("lambda1", "", 1.0, true, NOW);
    assert_eq!(refused, Err(invalid_destination("", 1.0)));
    assert!(
        table.lambdas().is_empty(),
        "a refused change leaves nothing behind"
    );
}

#[test]
fn ft7_a_weight_of_zero_is_an_invalid_destination() {
    let table = table(PolicyConfig::Random);
    let refused = table.update_weight("lambda1", "valid", 0.0, NOW);
    assert_eq!(refused, Err(invalid_destination("valid", 0.0)));
    let refused = table.change("lambda1", "valid", 0.0, true, NOW);
    assert_eq!(refused, Err(invalid_destination("valid", 0.0)));
    assert!(table.lambdas().is_empty());
}

#[test]
fn ft8_weights_are_finite_and_positive() {
    let table = table(PolicyConfig::Random);
    table.change("lambda1", "valid", 99.0, true, NOW).unwrap();
    table.update_weight("lambda1", "valid", 49.0, NOW).unwrap();
    for weight in [-99.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for refused in [
            table.update_weight("lambda1", "valid", weight, NOW),
            table.change("lambda1", "valid", weight, true, NOW),
        ] {
            assert!(
                matches!(refused, Err(TableError::InvalidWeight(_))),
                "{refused:?}"
            );
        }
    }
    assert_eq!(table.page(0, 1)[0].weight, 49.0);
}

#[test]
fn ft9_factors_are_finite_and_positive() {
    let table = table(PolicyConfig::Random);
    table.change("lambda1", "valid", 1.0, true, NOW).unwrap();
    table.multiply("lambda1", "valid", 99.0, NOW).unwrap();
    for factor in [-99.0, 0.0, f32::NAN, f32::INFINITY] {
        let refused = table.multiply("lambda1", "valid", factor, NOW);
        assert!(
            matches!(refused, Err(TableError::InvalidWeightFactor(_))),
            "{refused:?}"
        );
    }
    assert_eq!(table.page(0, 1)[0].weight, 99.0);
}

#[test]
fn ft10_removing_twice_is_silent_and_then_nothing_is_left_to_pick() {
    let mut bench = Bench::with(PolicyConfig::Random, &[("dest1", 1.0)]);
    assert!(bench.table.remove_lambda(L));
    assert!(!bench.table.remove_lambda(L));
    assert!(!bench.table.remove(L, "dest1", bench.now));
    let refused = bench
        .table
        .pick(L, &Tried::new(), bench.now, &mut bench.rng)
        .unwrap_err();
    assert_eq!(refused, NoDestination::UnknownLambda);
    assert_eq!(refused.to_string(), "No destinations found for the entry");
}

#[test]
fn errors_speak_as_the_reference_does() {
    let table = table(PolicyConfig::Random);
    table.change("lambda1", "valid", 1.0, true, NOW).unwrap();
    let text = |refused: Result<(), TableError>| refused.unwrap_err().to_string();
    assert_eq!(
        text(table.update_weight("other", "valid", 1.0, NOW)),
        "No destinations found for the entry"
    );
    assert_eq!(
        text(table.multiply("lambda1", "other", 1.0, NOW)),
        "No destinations found for the entry: other"
    );
    assert_eq!(
        text(table.change("lambda1", "dest", 0.0, true, NOW)),
        "Invalid destination towards 'dest' with weight 0.000000"
    );
    assert_eq!(
        text(table.change("", "dest", 1.0, true, NOW)),
        "Invalid destination towards 'dest' for lambda function ''"
    );
    assert_eq!(
        text(table.change("lambda1", "dest", -1.5, true, NOW)),
        "Invalid weight '-1.500000', must be > 0"
    );
    assert_eq!(
        text(table.change("lambda1", "dest", f32::NAN, true, NOW)),
        "Invalid weight 'nan', must be > 0"
    );
    assert_eq!(
        text(table.multiply("lambda1", "valid", 0.0, NOW)),
        "Invalid weight factor '0.000000', must be > 0"
    );
}

#[test]
fn a_change_of_an_existing_route_sets_weight_and_finality() {
    let bench = Bench::with(PolicyConfig::Random, &[("dest1", 1.0)]);
    bench
        .table
        .change(L, "dest1", 3.0, false, bench.now)
        .unwrap();
    assert_eq!(bench.table.to_string(), "lambda1 [3] dest1\n");
}

#[test]
fn many_changes_are_made_together_or_not_at_all() {
    let table = table(PolicyConfig::LeastCost);
    let change = |destination, weight| RouteChange {
        destination,
        weight,
        is_final: false,
    };
    let refused = table.change_many(L, &[change("a", 1.0), change("b", -1.0)], NOW);
    assert_eq!(refused, Err(TableError::InvalidWeight(-1.0)));
    assert!(table.lambdas().is_empty());
    table.change_many(L, &[], NOW).unwrap();
    assert!(table.lambdas().is_empty());
    table
        .change_many(
            L,
            &[change("a", 1.0), change("b", 2.0), change("a", 3.0)],
            NOW,
        )
        .unwrap();
    assert_eq!(table.to_string(), "lambda1 [3] a\n        [2] b\n");
}

#[test]
fn many_lambdas_change_at_once_as_they_do_one_by_one() {
    let change = |destination, weight| RouteChange {
        destination,
        weight,
        is_final: true,
    };
    let (at_once, one_by_one) = [(); 2].map(|()| table(PolicyConfig::LeastCost)).into();
    for table in [&at_once, &one_by_one] {
        table.change("lambda5", "b", 9.0, false, NOW).unwrap();
    }
    let names: Vec<_> = (0..2000)
        .map(|number| format!("lambda{}", number % 1500))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let changes = [change("a", 1.0), change("b", 2.0)];
    for name in &names {
        one_by_one.change_many(name, &changes, NOW).unwrap();
    }
    at_once.change_all(&names, &changes, NOW).unwrap();
    assert_eq!(at_once.len(), 3000);
    assert_eq!(at_once.to_string(), one_by_one.to_string());
    for name in &names[..1500] {
        assert!(at_once.remove(name, "a", NOW), "{name}");
        assert!(at_once.remove(name, "b", NOW), "{name}");
        assert!(!at_once.holds(name, "a"), "{name}");
    }
    assert!(at_once.is_empty());
}

#[test]
fn many_lambdas_change_all_or_none() {
    let change = |weight| RouteChange {
        destination: "a",
        weight,
        is_final: true,
    };
    let table = table(PolicyConfig::LeastCost);
    let refused = table.change_all(&["f", "g"], &[change(1.0), change(-1.0)], NOW);
    assert_eq!(refused, Err(TableError::InvalidWeight(-1.0)));
    table.change_all(&["f", "g"], &[], NOW).unwrap();
    assert!(table.lambdas().is_empty());
}

#[test]
fn pages_put_together_are_the_table() {
    let table = table(PolicyConfig::Random);
    for lambda in 0..7 {
        for destination in 0..=lambda {
            let (lambda, destination) = (format!("l{lambda}"), format!("d{destination}"));
            table.change(&lambda, &destination, 1.0, true, NOW).unwrap();
        }
    }
    let whole = table.page(0, usize::MAX);
    assert_eq!(whole.len(), table.len());
    assert_eq!(whole.len(), 28);
    for size in [1, 2, 5, 28, 100] {
        let offsets = (0..)
            .step_by(size)
            .take_while(|offset| *offset < whole.len());
        let pages: Vec<_> = offsets
            .flat_map(|offset| table.page(offset, size))
            .collect();
        assert_eq!(pages, whole, "pages of {size}");
    }
    assert!(table.page(28, 10).is_empty());
    assert!(table.page(usize::MAX, usize::MAX).is_empty());
    assert!(table.page(3, 0).is_empty());
}

#[test]
fn clearing_forgets_routes_but_not_requests_in_flight() {
    let mut bench = Bench::with(PolicyConfig::LeastCost, &[("dest1", 1.0)]);
    let pick = bench.pick();
    bench.table.clear();
    assert!(bench.table.is_empty());
    assert_eq!(bench.in_flight("dest1"), 1);
    pick.succeeded(seconds(0.1), &Report::default(), bench.now);
    assert_eq!(bench.table.destinations().in_use().len(), 0);
}

#[test]
fn ten_thousand_destinations_of_one_lambda() {
    for name in PolicyConfig::NAMES {
        let policy = PolicyConfig::from_name(name, &exponents()).unwrap();
        let mut bench = Bench::new(policy);
        let names: Vec<_> = (0..10_000).map(|i| format!("dest{i}:6473")).collect();
        let route = |name| RouteChange {
            destination: name,
            weight: 1.0,
            is_final: true,
        };
        let (bulk, single) = names.split_at(9_000);
        let bulk: Vec<_> = bulk.iter().map(|name| route(name)).collect();
        bench.table.change_many(L, &bulk, bench.now).unwrap();
        for name in single {
            bench.add(name, 1.0);
        }
        assert_eq!(bench.table.len(), 10_000, "{name}");
        for _ in 0..100 {
            bench.serve(|_| 0.01);
        }
        for name in &names[1..] {
            bench.table.remove(L, name, bench.now);
            if bench.table.len() == 9_000 {
                break;
            }
        }
        assert!(bench.table.remove(L, "dest9999:6473", bench.now));
        assert_eq!(bench.table.page(0, usize::MAX).len(), 8_999, "{name}");
    }
}

#[test]
fn of_very_many_destinations_each_is_found_whatever_came_and_went() {
    let policy = PolicyConfig::from_name("round-robin", &PolicyKeys::default()).unwrap();
    let table = table(policy);
    let name = |number: usize| format!("d{number}");
    let mut there = std::collections::BTreeSet::new();
    // Some at once, the others one by one, across the size at which an index begins to pay.
    let at_once: Vec<_> = (0..90).map(name).collect();
    let at_once: Vec<_> = at_once
        .iter()
        .chain(&at_once)
        .map(|destination| RouteChange {
            destination,
            weight: 1.0,
            is_final: true,
        })
        .collect();
    table.change_many(L, &at_once, NOW).unwrap();
    there.extend(0..90);
    for number in 90..300 {
        table.change(L, &name(number), 1.0, true, NOW).unwrap();
        there.insert(number);
        if number % 3 == 0 {
            assert!(table.remove(L, &name(number / 2), NOW) == there.remove(&(number / 2)));
        }
    }
    for number in (0..300).step_by(7) {
        table.change(L, &name(number), 2.0, true, NOW).unwrap();
        there.insert(number);
    }
    let check = |there: &std::collections::BTreeSet<usize>| {
        for number in 0..300 {
            assert_eq!(table.holds(L, &name(number)), there.contains(&number));
        }
        assert_eq!(table.len(), there.len());
    };
    check(&there);
    for number in 0..290 {
        assert_eq!(table.remove(L, &name(number), NOW), there.remove(&number));
    }
    check(&there);
}
