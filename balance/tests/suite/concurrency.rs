//! Many threads on one table: counters stay right and nobody sees half a change.

use crate::{L, all_policies, seeded};
use edge_balance::{
    Destinations, ForwardingTable, LONGEST_EJECTION, Nanos, NoDestination, Optimizer,
    OptimizerConfig, PolicyConfig, Report, RetryBudget, Tried,
};
use rand::RngExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

const PICKS: u64 = 20_000;

/// Picks and ends requests in every way there is.
fn requests(table: &ForwardingTable, optimizer: &Optimizer, clock: &AtomicU64, seed: u64) {
    let mut rng = seeded(seed);
    let mut open = Vec::new();
    for _ in 0..PICKS {
        let now = Nanos(clock.fetch_add(100_000, Relaxed));
        match table.pick(L, &Tried::new(), now, &mut rng) {
            Ok(pick) => open.push(pick),
            Err(refused) => assert_eq!(refused, NoDestination::UnknownLambda),
        }
        if open.len() < 8 {
            continue;
        }
        let pick = open.swap_remove(rng.random_range(0..open.len()));
        match rng.random_range(0..20) {
            0 => pick.failed(now),
            1 => drop(pick),
            2 => pick.answered(&Report::default(), now),
            _ => {
                optimizer.record(&pick, 0.005, now);
                pick.succeeded(Nanos::from_millis(5), &Report::default(), now);
            }
        }
    }
}

#[test]
fn picks_changes_and_removals_from_several_threads_keep_the_counters_right() {
    for policy in all_policies() {
        let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
        let optimizer = Optimizer::new(OptimizerConfig::moving_average(0.95).unwrap());
        let (clock, done) = (AtomicU64::new(0), AtomicBool::new(false));
        // Kept, so that what a removal would hide stays in sight.
        let destinations: Vec<_> = (0..8)
            .map(|i| table.destinations().intern(&format!("d{i}")))
            .collect();
        thread::scope(|scope| {
            let (table, optimizer, clock, done) = (&table, &optimizer, &clock, &done);
            let pickers: Vec<_> = (0..3)
                .map(|seed| scope.spawn(move || requests(table, optimizer, clock, seed)))
                .collect();
            scope.spawn(move || {
                let mut rng = seeded(99);
                while !done.load(Relaxed) {
                    let name = format!("d{}", rng.random_range(0..8));
                    let now = Nanos(clock.load(Relaxed));
                    match rng.random_range(0..10) {
                        0..4 => drop(table.remove(L, &name, now)),
                        4 => drop(table.remove_lambda(L)),
                        _ => table.change(L, &name, 1.0, true, now).unwrap(),
                    }
                }
            });
            for picker in pickers {
                picker.join().unwrap();
            }
            done.store(true, Relaxed);
        });
        for destination in &destinations {
            assert_eq!(
                destination.in_flight(),
                0,
                "{policy}: {}",
                destination.name()
            );
        }
        let unhealthy = destinations
            .iter()
            .filter(|d| !d.health().is_healthy())
            .count();
        assert_eq!(table.destinations().set_aside(), unhealthy, "{policy}");
        assert_eq!(table.len(), table.page(0, usize::MAX).len(), "{policy}");
    }
}

#[test]
fn a_destination_is_on_trial_with_one_request_however_many_ask_at_once() {
    let table = ForwardingTable::new(PolicyConfig::LeastCost, Arc::new(Destinations::new()));
    let mut now = Nanos::from_secs(1);
    for name in ["a", "b"] {
        table.change(L, name, 1.0, true, now).unwrap();
    }
    for round in 0..200 {
        table
            .pick(L, &Tried::new(), now, &mut seeded(round))
            .unwrap()
            .failed(now);
        now = now + LONGEST_EJECTION;
        let trials: usize = thread::scope(|scope| {
            let ask = |seed| {
                let table = &table;
                move || {
                    let mut rng = seeded(seed);
                    let ask = |_| table.pick(L, &Tried::new(), now, &mut rng).unwrap();
                    (0..4).map(ask).collect::<Vec<_>>()
                }
            };
            let askers: Vec<_> = (0..3).map(|seed| scope.spawn(ask(seed))).collect();
            let picks: Vec<_> = askers.into_iter().flat_map(|a| a.join().unwrap()).collect();
            let trials = picks.iter().filter(|pick| pick.is_trial()).count();
            picks
                .into_iter()
                .for_each(|pick| pick.answered(&Report::default(), now));
            trials
        });
        assert_eq!(trials, 1, "round {round}");
        assert_eq!(table.destinations().set_aside(), 0);
    }
}

#[test]
fn a_budget_is_not_overdrawn_by_many_at_once() {
    let budget = RetryBudget::new(0.5, 0.0, Nanos::from_secs(10));
    let now = Nanos::from_secs(100);
    let granted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let budget = &budget;
                scope.spawn(move || {
                    let once = |_: &usize| {
                        budget.deposit(now);
                        budget.try_withdraw(now)
                    };
                    (0..10_000_usize).filter(once).count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let rest = (0..30_000).filter(|_| budget.try_withdraw(now)).count();
    assert_eq!(granted + rest, 15_000);
}
