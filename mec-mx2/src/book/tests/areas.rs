//! Instances that want to run in an area.

use super::*;

/// Somewhere along a line, a unit square each.
fn square(x: f64) -> serde_json::Value {
    json!({"area": {"coordinates": [[[x, 0.0], [x + 1.0, 0.0], [x + 1.0, 1.0], [x, 1.0], [x, 0.0]]]}})
}

fn in_square(endpoint: &str, x: f64, apps: &[&str]) -> Place {
    Place {
        reference: Reference::parse(endpoint).unwrap(),
        location: LocationConstraints::from_json(&square(x)).unwrap(),
        apps: apps.iter().map(ToString::to_string).collect(),
    }
}

/// Asks for a context from `from` to `to` on that line.
fn between(book: &mut Book, from: f64, to: f64) -> ContextId {
    let area = [
        [from, -1.0],
        [to, -1.0],
        [to, 2.0],
        [from, 2.0],
        [from, -1.0],
    ];
    let wanting = request(json!({"appAutoInstantiation": true,
        "appInfo": {"appName": "a", "appProvider": "OpenLambdaMec", "appDVersion": "1.0",
        "userAppInstanceInfo": [{"appLocation": {"area": {"coordinates": [area]}}}]}}));
    let made = book.create(wanting, caller("x"), 1, "grpc", 0).unwrap();
    book.release(made.0);
    made.0
}

fn endpoint(book: &Book, id: ContextId) -> String {
    let view = book.contexts().find(|context| context.id == id).unwrap();
    view.endpoint.to_string()
}

#[test]
fn routes_change_without_looking_at_areas_again() {
    let mut book = book();
    for n in 0..100 {
        let endpoint = format!("h:{}", 100 + n);
        book.set_place(in_square(&endpoint, f64::from(n), &["a"]), 0)
            .unwrap();
    }
    let looked_at = || super::super::fits::LOOKED_AT.get();
    let (some, none) = (
        between(&mut book, 10.0, 12.0),
        between(&mut book, 10.2, 11.8),
    );
    let before = looked_at();
    assert!(before <= 200);
    assert_eq!(
        (&*endpoint(&book, some), &*endpoint(&book, none)),
        ("h:110", "")
    );
    for n in 0..100 {
        let to = format!("h:{}", 100 + n);
        book.associate("", "a", &to, 0).unwrap();
        let expected = match n {
            ..11 => "h:110",
            // It stays where the route led it.
            _ => "h:111",
        };
        assert_eq!(
            (&*endpoint(&book, some), &*endpoint(&book, none)),
            (expected, "")
        );
    }
    assert_eq!(looked_at(), before);
}

#[test]
fn instances_follow_computers_that_come_move_and_go() {
    let mut book = book();
    let everywhere = between(&mut book, -1.0, 180.0);
    let east = between(&mut book, 50.0, 180.0);
    let mut places = std::collections::BTreeMap::new();
    // More of them than are remembered; each move is that of a pseudo-random computer.
    let mut seed = 7_u32;
    for _ in 0..2000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (n, x) = (seed >> 16 & 63, f64::from(seed >> 8 & 1023) / 10.0);
        let at = format!("h:{}", 100 + n);
        if seed >> 24 & 1 == 0 {
            book.remove_place(&at, 0);
            places.remove(&at);
        } else {
            let apps: &[&str] = if n % 3 == 0 { &[] } else { &["a"] };
            book.set_place(in_square(&at, x, apps), 0).unwrap();
            places.insert(at.clone(), (x, n % 3 != 0));
        }
        for (id, from) in [(everywhere, -1.0), (east, 50.0)] {
            let fits = |at: &String| {
                let place = places.get(at);
                place.is_some_and(|(x, serves)| *serves && *x >= from && x + 1.0 <= 180.0)
            };
            let is = endpoint(&book, id);
            assert_eq!(fits(&is), places.keys().any(&fits), "{is}");
            assert!(fits(&is) || is.is_empty(), "{is}");
        }
    }
}

#[test]
fn a_computer_without_applications_serves_those_that_routes_lead_there_for() {
    let mut book = book();
    book.set_place(in_square("h:1", 0.0, &[]), 0).unwrap();
    let id = between(&mut book, -1.0, 2.0);
    assert_eq!(endpoint(&book, id), "");
    for client in ["10.0.0.1", "10.0.0.2"] {
        book.associate(client, "a", "h:1", 0).unwrap();
        assert_eq!(endpoint(&book, id), "h:1");
    }
    book.associate("10.0.0.1", "a", "h:2", 0).unwrap();
    assert_eq!(endpoint(&book, id), "h:1");
    book.dissociate("10.0.0.2", "a", 0);
    assert_eq!(endpoint(&book, id), "");
}
