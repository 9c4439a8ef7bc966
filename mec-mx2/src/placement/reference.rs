//! The reference's balancing: contexts are counted and spread evenly.

use std::collections::{BTreeMap, BTreeSet};

/// The outcome of [`spread`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Client, application and end-point, in order of decision.
    pub routes: Vec<(String, String, String)>,
    /// Applications that no computer serves.
    pub unserved: BTreeSet<String>,
}

/// Spreads the contexts, given as client and application, over the computers that serve
/// each application. Clients with many contexts of one application are placed first, each on
/// the computer with the fewest contexts so far.
pub fn spread(
    contexts: impl IntoIterator<Item = (String, String)>,
    computers: &BTreeMap<String, BTreeSet<String>>,
) -> Spread {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (client, app) in contexts {
        *counts.entry((app, client)).or_default() += 1;
    }
    let mut groups: Vec<_> = counts.into_iter().collect();
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));

    let names: BTreeSet<&String> = computers.values().flatten().collect();
    // By load, the least loaded first.
    let mut loads: Vec<(usize, &String)> = names.into_iter().map(|name| (0, name)).collect();
    let mut result = Spread::default();
    for ((app, client), count) in groups {
        let serves = |name: &&String| computers.get(&app).is_some_and(|set| set.contains(*name));
        let Some(at) = loads.iter().position(|(_, name)| serves(name)) else {
            result.unserved.insert(app);
            continue;
        };
        let (load, name) = loads.remove(at);
        let load = load + count;
        let later = loads[at..].iter().position(|(other, _)| *other >= load);
        let to = later.map_or(loads.len(), |later| at + later);
        loads.insert(to, (load, name));
        result.routes.push((client, app, name.clone()));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computers(rows: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
        let rows = rows.iter();
        rows.map(|(app, names)| {
            let names = names.iter().map(|name| (*name).to_owned());
            ((*app).to_owned(), names.collect())
        })
        .collect()
    }

    fn contexts(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        let rows = rows.iter();
        rows.map(|(client, app)| ((*client).to_owned(), (*app).to_owned()))
            .collect()
    }

    const FIVE: [(&str, &str); 5] = [
        ("client0", "lambda0"),
        ("client1", "lambda0"),
        ("client2", "lambda0"),
        ("client3", "lambda0"),
        ("client4", "lambda0"),
    ];

    fn loads(spread: &Spread) -> BTreeMap<&str, usize> {
        let mut loads = BTreeMap::new();
        for (_, _, name) in &spread.routes {
            *loads.entry(name.as_str()).or_default() += 1;
        }
        loads
    }

    #[test]
    fn nothing_to_place_or_nowhere_is_no_routes() {
        assert_eq!(spread([], &BTreeMap::new()), Spread::default());
        assert_eq!(
            spread([], &computers(&[("lambda0", &["comp0"])])),
            Spread::default()
        );
        let nowhere = spread(contexts(&FIVE), &BTreeMap::new());
        assert_eq!(nowhere.routes, []);
        assert_eq!(nowhere.unserved.len(), 1);
    }

    #[test]
    fn one_computer_gets_all_clients_in_order() {
        let spread = spread(contexts(&FIVE), &computers(&[("lambda0", &["comp0"])]));
        let expected: Vec<_> = (0..5)
            .map(|n| {
                (
                    format!("client{n}"),
                    "lambda0".to_owned(),
                    "comp0".to_owned(),
                )
            })
            .collect();
        assert_eq!(spread.routes, expected);
    }

    #[test]
    fn a_client_of_an_application_that_nobody_serves_is_ignored() {
        let mut rows = FIVE.to_vec();
        rows.push(("client5", "lambda1"));
        let spread = spread(contexts(&rows), &computers(&[("lambda0", &["comp0"])]));
        assert_eq!(spread.routes.len(), 5);
        assert_eq!(spread.unserved, BTreeSet::from(["lambda1".to_owned()]));
    }

    #[test]
    fn a_second_computer_takes_half_and_a_third_what_only_it_serves() {
        let two = computers(&[("lambda0", &["comp0", "comp1"])]);
        let spread_over_two = spread(contexts(&FIVE), &two);
        let mut counts: Vec<_> = loads(&spread_over_two).into_values().collect();
        counts.sort_unstable();
        assert_eq!(counts, [2, 3]);

        let mut rows = FIVE.to_vec();
        rows.push(("client5", "lambda1"));
        let three = computers(&[("lambda0", &["comp0", "comp1"]), ("lambda1", &["comp2"])]);
        let spread = spread(contexts(&rows), &three);
        let third: Vec<_> = spread
            .routes
            .iter()
            .filter(|(_, _, name)| name == "comp2")
            .collect();
        assert_eq!(third.len(), 1);
        assert_eq!(
            (third[0].0.as_str(), third[0].1.as_str()),
            ("client5", "lambda1")
        );
    }

    #[test]
    fn three_hundred_contexts_are_a_hundred_for_each_of_three_computers() {
        let apps = ["lambda0", "lambda1", "lambda2"];
        let contexts = apps
            .iter()
            .flat_map(|app| (0..100).map(|n| (format!("client{n}"), (*app).to_owned())));
        let computers = computers(&[
            ("lambda0", &["comp0", "comp1"]),
            ("lambda1", &["comp0", "comp1"]),
            ("lambda2", &["comp0", "comp1", "comp2"]),
        ]);
        let spread = spread(contexts, &computers);
        assert_eq!(spread.routes.len(), 300);
        assert_eq!(
            loads(&spread),
            BTreeMap::from([("comp0", 100), ("comp1", 100), ("comp2", 100)])
        );
    }
}
