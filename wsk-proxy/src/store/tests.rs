use std::time::Duration;

use super::*;
use crate::activation::{Kind, Status, Texts, Trail};
use crate::json;
use crate::names::ActionName;

fn activation(action: &str, start_ms: u64, payload: &str) -> Activation {
    Activation {
        id: ActivationId::random(),
        action: ActionName::parse(action, "").unwrap(),
        kind: Kind::Lambda,
        start_ms,
        end_ms: start_ms + 1,
        cause: None,
        steps: Vec::new(),
        trail: Trail::default(),
        timed_out: false,
        limit_ms: 1000,
        status: Status::Success,
        texts: Texts::new("", "", &json::object("payload", payload)),
    }
}

fn store(bounds: impl FnOnce(&mut StoreConfig)) -> Store {
    let mut config = StoreConfig::default();
    bounds(&mut config);
    Store::new(config)
}

fn starts(store: &Store, namespace: &str, filter: &Filter) -> Vec<u64> {
    let found = store.list(namespace, filter, 0, usize::MAX);
    found.iter().map(|activation| activation.start_ms).collect()
}

#[test]
fn lists_are_newest_first_within_the_filter() {
    let store = store(|_| ());
    for (action, start) in [("/a/f", 5), ("/a/p/f", 3), ("/a/g", 9), ("/b/f", 7)] {
        store.insert(&activation(action, start, ""), 10);
    }
    assert_eq!(starts(&store, "a", &Filter::default()), [9, 5, 3]);
    let since = Filter {
        since: Some(5),
        ..Filter::default()
    };
    assert_eq!(starts(&store, "a", &since), [9, 5]);
    let upto = Filter {
        upto: Some(5),
        ..Filter::default()
    };
    assert_eq!(starts(&store, "a", &upto), [5, 3]);
    let named = |name: &str| Filter {
        name: Some(name.to_owned()),
        ..Filter::default()
    };
    assert_eq!(starts(&store, "a", &named("f")), [5, 3]);
    assert_eq!(starts(&store, "a", &named("p/f")), [3]);
    assert_eq!(store.count("a", &named("f")), 2);
    let never = Filter {
        since: Some(6),
        upto: Some(5),
        ..Filter::default()
    };
    assert_eq!(store.count("a", &never), 0);
    let page = store.list("a", &Filter::default(), 1, 1);
    assert_eq!(page[0].start_ms, 5);
    // Of what may be long only as much as a list shows.
    assert_eq!(page[0].texts.result(), "null");
    let ids = store.ids("a", &Filter::default(), 1, 1);
    assert_eq!((ids[0].0, ids.len()), (page[0].id, 1));
    assert_eq!(store.count("c", &Filter::default()), 0);
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let store = store(|bounds| bounds.max_count = 3);
    for start in [4, 1, 5, 2, 3] {
        store.insert(&activation("/a/f", start, ""), 5);
    }
    assert_eq!(starts(&store, "a", &Filter::default()), [5, 4, 3]);
}

#[test]
fn what_is_too_old_goes_when_something_comes_and_by_itself() {
    let store = store(|bounds| bounds.max_age = Duration::from_millis(10));
    store.insert(&activation("/a/f", 100, ""), 100);
    store.insert(&activation("/a/f", 109, ""), 112);
    assert_eq!(starts(&store, "a", &Filter::default()), [109]);
    store.expire(200);
    assert_eq!(store.fill(), Fill::default());
}

#[test]
fn bytes_are_bounded_in_each_namespace_and_in_all() {
    let one = Kept::new(&activation("/a/f", 1, &"x".repeat(1000)), None).size();
    let store = store(|bounds| {
        bounds.max_bytes = 3 * one;
        bounds.max_total_bytes = 4 * one;
    });
    for start in 1..=5 {
        store.insert(&activation("/a/f", start, &"x".repeat(1000)), 5);
    }
    assert_eq!(starts(&store, "a", &Filter::default()), [5, 4, 3]);
    for start in 1..=2 {
        store.insert(&activation("/b/f", start, &"x".repeat(1000)), 5);
    }
    assert_eq!(starts(&store, "a", &Filter::default()), [5, 4]);
    assert_eq!(starts(&store, "b", &Filter::default()), [2, 1]);
    assert_eq!(store.fill().bytes, 4 * one);
}

#[test]
fn an_activation_that_comes_again_takes_its_own_place() {
    let store = store(|_| ());
    let first = activation("/a/f", 1, "");
    store.insert(&first, 1);
    let again = Activation {
        end_ms: 9,
        ..first.clone()
    };
    store.insert(&again, 1);
    assert_eq!(store.get("a", first.id).unwrap().end_ms, 9);
    assert_eq!(store.fill().activations, 1);
    assert!(store.get("b", first.id).is_none());
}
