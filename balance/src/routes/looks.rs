//! How often tests have looked at one of many routes.

use std::cell::Cell;

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// There was one.
pub(crate) fn count() {
    LOOKS.set(LOOKS.get() + 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Destination, Destinations, ForwardingTable, Nanos, NoDestination, PolicyConfig, PolicyKeys,
        Report, RouteChange, Tried,
    };
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;
    use std::sync::Arc;

    const MANY: usize = 4000;
    const NOW: Nanos = Nanos::from_secs(1);
    /// A pick may look at so many, on average.
    const BOUND: usize = 700;

    /// A lambda with many destinations.
    struct Table {
        table: ForwardingTable,
        all: Vec<Arc<Destination>>,
        rng: Pcg32,
    }

    impl Table {
        fn new(policy: &str, weight: impl Fn(usize) -> f32) -> Self {
            let policy = PolicyConfig::from_name(policy, &PolicyKeys::default()).unwrap();
            let destinations = Arc::new(Destinations::new());
            let names: Vec<_> = (0..MANY).map(|number| format!("d{number}")).collect();
            let all = names.iter().map(|name| destinations.intern(name)).collect();
            let table = ForwardingTable::new(policy, destinations);
            let routes: Vec<_> = (0..MANY)
                .map(|number| RouteChange {
                    destination: &names[number],
                    weight: weight(number),
                    is_final: true,
                })
                .collect();
            table.change_many("lambda", &routes, NOW).unwrap();
            let rng = Pcg32::seed_from_u64(1);
            Table { table, all, rng }
        }

        fn eject(&self, numbers: impl Iterator<Item = usize>) {
            for number in numbers {
                let health = self.all[number].health();
                health.failed(health.ticket(), NOW);
            }
        }

        /// Answered picks, and looks for each on average.
        fn looks(&mut self, picks: usize) -> usize {
            LOOKS.set(0);
            for _ in 0..picks {
                match self.table.pick("lambda", &Tried::new(), NOW, &mut self.rng) {
                    Ok(pick) => pick.answered(&Report::default(), NOW),
                    Err(NoDestination::Saturated) => {
                        let tried = Tried::new();
                        assert!(!self.table.has_room("lambda", &tried, NOW));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            LOOKS.get() / picks
        }
    }

    fn policies() -> impl Iterator<Item = &'static str> {
        let all = PolicyConfig::NAMES.into_iter();
        // This one looks at all of them, always.
        all.filter(|policy| *policy != "proportional-fairness")
    }

    #[test]
    fn no_policy_looks_at_all_of_many_for_each_pick_however_few_are_open() {
        for policy in policies() {
            let mut table = Table::new(policy, |_| 1.0);
            for open in [MANY / 2, MANY / 100, 5, 1] {
                table.eject((0..MANY).filter(|number| number % (MANY / open) != 0));
                table.looks(50);
                let looks = table.looks(200);
                assert!(looks < BOUND, "{policy}: {looks} while {open} are open");
            }
        }
    }

    #[test]
    fn no_policy_looks_at_all_of_many_for_each_pick_while_none_is_open() {
        for policy in policies() {
            let mut table = Table::new(policy, |_| 1.0);
            table.eject(0..MANY);
            LOOKS.set(0);
            for _ in 0..200 {
                let pick = table
                    .table
                    .pick("lambda", &Tried::new(), NOW, &mut table.rng);
                drop(pick.unwrap());
            }
            let looks = (LOOKS.get() - MANY) / 200;
            assert!(looks < BOUND, "{policy}: {looks} of those that are ejected");
        }
    }

    #[test]
    fn nobody_looks_at_all_of_many_for_each_pick_while_all_are_full_and_one_is_free_for_a_moment() {
        let mut table = Table::new("predicted-completion", |_| 1.0);
        table.all.iter().for_each(|one| one.health().set_full(true));
        let at_first = table.looks(1);
        assert!(at_first >= MANY, "{at_first}");
        let looks = table.looks(200);
        assert!(looks < BOUND, "{looks} while all are full");
        LOOKS.set(0);
        for number in 0..200 {
            let health = table.all[number * 17].health();
            health.set_full(false);
            let pick = table
                .table
                .pick("lambda", &Tried::new(), NOW, &mut table.rng);
            assert_eq!(
                pick.unwrap().destination().id(),
                table.all[number * 17].id()
            );
            health.set_full(true);
        }
        let looks = LOOKS.get() / 200;
        assert!(looks < BOUND, "{looks} while one is free");
    }

    #[test]
    fn random_looks_at_few_where_a_few_have_nearly_all_shares() {
        let mut table = Table::new("random", |number| if number == 7 { 1e-6 } else { 1.0 });
        table.looks(50);
        let looks = table.looks(1000);
        assert!(looks < BOUND, "{looks}");
    }
}
