//! The book by example: who is told what, in which order, and what a restart keeps.

mod areas;
mod owners;

use serde_json::json;

use super::*;
use crate::model::{ContextRequest, LocationConstraints, Notification, Profile, Reference};

const BOUNDS: Bounds = Bounds {
    contexts: 100,
    bytes: 1 << 20,
    contexts_per_owner: 10,
    queue: 8,
};

fn book() -> Book {
    let mut book = Book::new(BOUNDS);
    book.add_app(AppInfo::lambda("a").unwrap()).unwrap();
    book
}

fn caller(address: &str) -> Caller {
    Caller {
        address: address.into(),
        subject: None,
    }
}

fn request(extra: impl std::borrow::Borrow<serde_json::Value>) -> ContextRequest {
    let extra: &serde_json::Value = extra.borrow();
    let mut body = json!({
        "associateDevAppId": "d",
        "callbackReference": "http://127.0.0.1:1/d",
        "appInfo": {"appName": "a", "appProvider": "OpenLambdaMec", "appDVersion": "1.0",
            "userAppInstanceInfo": [{}]}
    });
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    ContextRequest::parse(body.to_string().as_bytes(), Profile::Standard).unwrap()
}

fn create(book: &mut Book, address: &str) -> ContextId {
    let made = book
        .create(request(json!({})), caller(address), 100, "grpc", 0)
        .unwrap();
    book.release(made.0);
    made.0
}

fn legacy(book: &mut Book, address: &str) -> ContextId {
    let body = json!({"associateUeAppId": "d", "callbackReference": "http://127.0.0.1:1/d",
        "appInfo": {"appName": "a", "appProvider": "OpenLambdaMec", "appSoftVersion": "1.0"}});
    let request = ContextRequest::parse(body.to_string().as_bytes(), Profile::Legacy).unwrap();
    let made = book
        .create(request, caller(address), 100, "grpc", 0)
        .unwrap();
    book.release(made.0);
    made.0
}

/// Takes what a context is told, each of it delivered at once.
fn told(book: &mut Book, id: ContextId) -> Vec<Notification> {
    let mut told = Vec::new();
    while let Some(job) = book.next_job(id) {
        told.push(job.notification);
        book.settle(id, Outcome::Delivered, 0);
    }
    told
}

fn addresses(told: &[Notification]) -> Vec<&str> {
    told.iter()
        .map(|notification| match notification {
            Notification::AddressChange { reference, .. } | Notification::Legacy { reference } => {
                reference.as_str()
            }
            other => other.kind(),
        })
        .collect()
}

#[test]
fn without_application_or_route_there_is_no_context() {
    let mut book = book();
    let refused = book
        .create(request(json!({})), caller("x"), 1, "grpc", 0)
        .unwrap_err();
    assert_eq!(refused.status, http::StatusCode::FORBIDDEN);
    book.associate("", "a", "h:1", 0).unwrap();
    assert!(
        book.create(request(json!({})), caller("x"), 1, "grpc", 0)
            .is_ok()
    );
    book.remove_app("a", "OpenLambdaMec", "1.0");
    assert!(
        book.create(request(json!({})), caller("x"), 1, "grpc", 0)
            .is_err()
    );
    assert_eq!(book.num_contexts(), 1);
}

#[test]
fn each_context_is_told_of_its_own_best_route() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let (one, two) = (create(&mut book, "10.0.0.1"), create(&mut book, "10.0.0.2"));
    book.associate("10.0.0.1", "a", "h:2", 0).unwrap();
    assert_eq!(addresses(&told(&mut book, one)), ["h:2"]);
    assert_eq!(told(&mut book, two), []);
    // A new default does not concern the first, which has a route of its own.
    book.associate("", "a", "h:3", 0).unwrap();
    assert_eq!(told(&mut book, one), []);
    assert_eq!(addresses(&told(&mut book, two)), ["h:3"]);
    book.dissociate("10.0.0.1", "a", 0);
    assert_eq!(addresses(&told(&mut book, one)), ["h:3"]);
    book.associate("10.9.9.9", "a", "h:9", 0).unwrap();
    assert_eq!(told(&mut book, one), []);
}

#[test]
fn device_applications_and_owners_have_routes_before_addresses() {
    let mut book = book();
    book.associate("10.0.0.1", "a", "h:1", 0).unwrap();
    book.associate("device:d", "a", "h:2", 0).unwrap();
    create(&mut book, "10.0.0.1");
    assert_eq!(&*book.contexts().next().unwrap().endpoint, "h:2");
}

#[test]
fn a_context_that_lost_its_route_is_told_when_there_is_one_again() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    // Another context of the same application without a route disturbed the reference.
    let (old, new) = (legacy(&mut book, "x"), create(&mut book, "y"));
    book.dissociate("", "a", 0);
    assert_eq!(told(&mut book, old), []);
    assert_eq!(told(&mut book, new), []);
    assert_eq!(&*book.contexts().next().unwrap().endpoint, "");
    book.associate("", "a", "h:1", 0).unwrap();
    assert_eq!(addresses(&told(&mut book, old)), ["h:1"]);
    assert_eq!(addresses(&told(&mut book, new)), ["h:1"]);
}

#[test]
fn a_context_that_nobody_serves_is_deleted_after_a_while_unless_it_is_of_the_older_kind() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let (old, new) = (legacy(&mut book, "x"), create(&mut book, "y"));
    book.dissociate("", "a", 1000);
    let ages = Ages {
        unserved_ms: 500,
        unreachable_ms: 500,
        idle_ms: u64::MAX,
    };
    book.sweep(ages, 1499);
    assert_eq!(book.num_contexts(), 2);
    book.sweep(ages, 1500);
    assert_eq!(
        addresses(&told(&mut book, new)),
        ["ApplicationContextDeleteNotification"]
    );
    assert_eq!(book.contexts().map(|c| c.id).collect::<Vec<_>>(), [old]);
}

#[test]
fn contexts_without_a_sign_of_life_expire() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let id = create(&mut book, "x");
    let ages = Ages {
        unserved_ms: 1,
        unreachable_ms: 1,
        idle_ms: 100,
    };
    book.sweep(ages, 99);
    assert_eq!(book.num_contexts(), 1);
    book.sweep(ages, 100);
    assert_eq!(book.num_contexts(), 0);
    assert_eq!(told(&mut book, id).len(), 1);
}

#[test]
fn several_contexts_of_one_device_application_are_several() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let (one, two) = (create(&mut book, "x"), create(&mut book, "x"));
    assert_ne!(one, two);
    book.associate("", "a", "h:2", 0).unwrap();
    assert_eq!(addresses(&told(&mut book, one)), ["h:2"]);
    book.delete(one, &caller("x")).unwrap();
    assert_eq!(addresses(&told(&mut book, two)), ["h:2"]);
    assert!(book.delete(one, &caller("x")).is_err());
}

#[test]
fn nothing_overtakes_the_answer_to_a_creation() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let (id, _) = book
        .create(request(json!({})), caller("x"), 1, "grpc", 0)
        .unwrap();
    book.take_effects();
    book.associate("", "a", "h:2", 0).unwrap();
    assert_eq!(book.take_effects().wake, []);
    book.release(id);
    assert_eq!(book.take_effects().wake, [id]);
    assert_eq!(addresses(&told(&mut book, id)), ["h:2"]);
}

#[test]
fn a_queue_that_is_full_leaves_out_old_addresses_and_keeps_the_order() {
    let mut book = book();
    book.associate("", "a", "h:0", 0).unwrap();
    let id = create(&mut book, "x");
    for n in 1..=100 {
        book.associate("", "a", &format!("h:{n}"), 0).unwrap();
    }
    let told = told(&mut book, id);
    let addresses = addresses(&told);
    assert_eq!(addresses.len(), BOUNDS.queue);
    // The first was under way.
    assert_eq!((addresses[0], addresses[7]), ("h:1", "h:100"));
    let numbers: Vec<u32> = addresses.iter().map(|a| a[2..].parse().unwrap()).collect();
    assert!(numbers.is_sorted());
}

#[test]
fn who_cannot_be_told_is_told_with_the_next_change_or_update() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let id = create(&mut book, "x");
    book.associate("", "a", "h:2", 0).unwrap();
    assert!(book.next_job(id).is_some());
    assert_eq!(
        book.settle(id, Outcome::Failed("no".into()), 0),
        Settled::Again
    );
    assert_eq!(book.next_job(id).unwrap().attempts, 1);
    book.settle(id, Outcome::GivenUp("no".into()), 7);
    let view = book.contexts().next().unwrap();
    assert_eq!((view.state, &*view.last_error), ("unreachable", "no"));
    assert!(book.next_job(id).is_none());
    let update = request(json!({"callbackReference": "http://127.0.0.1:2/new"})).into_update();
    book.update(id, update, &caller("x"), 100, 8).unwrap();
    let job = book.next_job(id).unwrap();
    assert_eq!(job.callback.as_str(), "http://127.0.0.1:2/new");
    assert_eq!(addresses(&told(&mut book, id)), ["h:2"]);
    assert_eq!(book.contexts().next().unwrap().state, "ready");
}

#[test]
fn a_receiver_that_says_gone_is_rid_of_its_context() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let id = create(&mut book, "x");
    book.associate("", "a", "h:2", 0).unwrap();
    book.next_job(id).unwrap();
    assert_eq!(book.settle(id, Outcome::Gone, 0), Settled::Idle);
    assert_eq!(book.num_contexts(), 0);
}

#[test]
fn others_contexts_look_as_if_they_were_not_there() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let alice = Caller {
        address: "x".into(),
        subject: Some("alice".into()),
    };
    let bob = Caller {
        address: "x".into(),
        subject: Some("bob".into()),
    };
    let (id, _) = book
        .create(request(json!({})), alice.clone(), 1, "grpc", 0)
        .unwrap();
    for stranger in [&bob, &caller("x")] {
        let update = request(json!({})).into_update();
        assert_eq!(
            book.update(id, update, stranger, 1, 0).unwrap_err().status,
            http::StatusCode::NOT_FOUND
        );
        assert_eq!(
            book.delete(id, stranger).unwrap_err().status,
            http::StatusCode::NOT_FOUND
        );
    }
    assert!(book.delete(id, &alice).is_ok());
}

#[test]
fn there_are_no_more_contexts_than_allowed() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let alice = Caller {
        address: "x".into(),
        subject: Some("alice".into()),
    };
    for _ in 0..BOUNDS.contexts_per_owner {
        book.create(request(json!({})), alice.clone(), 1, "grpc", 0)
            .unwrap();
    }
    let refused = book
        .create(request(json!({})), alice, 1, "grpc", 0)
        .unwrap_err();
    assert_eq!(refused.status, http::StatusCode::FORBIDDEN);
    let large = book
        .create(request(json!({})), caller("x"), BOUNDS.bytes, "grpc", 0)
        .unwrap_err();
    assert_eq!(large.status, http::StatusCode::SERVICE_UNAVAILABLE);
    for n in book.num_contexts()..BOUNDS.contexts {
        create(
            &mut book,
            &format!("10.0.0.{}", n / BOUNDS.contexts_per_owner),
        );
    }
    let full = book
        .create(request(json!({})), caller("x"), 1, "grpc", 0)
        .unwrap_err();
    assert_eq!(full.status, http::StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn what_was_measured_of_an_application_goes_with_it() {
    let mut book = book();
    book.set_latency("a", 7);
    book.remove_app("a", "OpenLambdaMec", "1.0");
    book.add_app(AppInfo::lambda("a").unwrap()).unwrap();
    let all = AppFilter::default();
    assert_eq!(book.apps(&all).map(|(_, ms)| ms).collect::<Vec<_>>(), [0]);
}

fn place(endpoint: &str, country: &str) -> Place {
    Place {
        reference: Reference::parse(endpoint).unwrap(),
        location: LocationConstraints::from_json(&json!({"countryCode": country})).unwrap(),
        apps: vec!["a".to_owned()],
    }
}

fn wanting(country: &str, how: &str) -> ContextRequest {
    request(
        json!({how: true, "appInfo": {"appName": "a", "appProvider": "OpenLambdaMec", "appDVersion": "1.0",
        "userAppInstanceInfo": [{"appLocation": {"countryCode": country}}]}}),
    )
}

#[test]
fn instances_run_where_they_were_asked_for() {
    let mut book = book();
    book.associate("", "a", "it:1", 0).unwrap();
    book.set_place(place("it:1", "IT"), 0).unwrap();
    book.set_place(place("fr:1", "FR"), 0).unwrap();
    let (_, answer) = book
        .create(
            wanting("FR", "appLocationUpdates"),
            caller("x"),
            1,
            "grpc",
            0,
        )
        .unwrap();
    assert_eq!(
        answer["appInfo"]["userAppInstanceInfo"][0]["referenceURI"],
        "grpc://fr:1"
    );
    let mut elsewhere = wanting("DE", "appLocationUpdates");
    elsewhere.location_updates = None;
    assert!(book.create(elsewhere, caller("x"), 1, "grpc", 0).is_err());
}

#[test]
fn instances_are_made_when_their_place_becomes_available() {
    let mut book = book();
    let (id, answer) = book
        .create(
            wanting("DE", "appAutoInstantiation"),
            caller("x"),
            1,
            "grpc",
            0,
        )
        .unwrap();
    book.release(id);
    assert!(
        answer["appInfo"]["userAppInstanceInfo"][0]
            .get("referenceURI")
            .is_none()
    );
    assert_eq!(book.contexts().next().unwrap().state, "creating");
    book.set_place(place("de:1", "DE"), 0).unwrap();
    assert_eq!(
        addresses(&told(&mut book, id)),
        ["ApplicationContextUpdateNotification"]
    );
    book.set_place(place("de:0", "DE"), 0).unwrap();
    assert_eq!(told(&mut book, id), []);
    book.remove_place("de:1", 0);
    assert_eq!(addresses(&told(&mut book, id)), ["de:0"]);
}

#[test]
fn who_wants_to_know_is_told_of_places_that_become_available() {
    let mut book = book();
    let (id, _) = book
        .create(
            wanting("DE", "appLocationUpdates"),
            caller("x"),
            1,
            "grpc",
            0,
        )
        .unwrap();
    book.release(id);
    book.set_place(place("fr:1", "FR"), 0).unwrap();
    assert_eq!(told(&mut book, id), []);
    book.set_place(place("de:1", "DE"), 0).unwrap();
    let told = told(&mut book, id);
    assert_eq!(
        told[0].kind(),
        "ApplicationLocationAvailabilityNotification"
    );
}

#[test]
fn what_is_written_down_makes_the_same_book() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let kept = create(&mut book, "10.0.0.1");
    let gone = create(&mut book, "10.0.0.2");
    let untold = create(&mut book, "10.0.0.3");
    book.set_place(place("h:1", "IT"), 0).unwrap();
    book.associate("10.0.0.1", "a", "h:2", 0).unwrap();
    told(&mut book, kept);
    book.associate("10.0.0.3", "a", "h:3", 0).unwrap();
    book.delete(gone, &caller("10.0.0.2")).unwrap();
    let lines: Vec<_> = book
        .take_effects()
        .records
        .iter()
        .map(Record::to_line)
        .collect();

    let check = |again: &mut Book| {
        let view = |book: &Book| {
            let mut contexts: Vec<_> = book.contexts().collect();
            contexts.sort_by_key(|c| c.id);
            (
                contexts,
                book.routes().all().collect::<Vec<_>>(),
                book.num_apps(),
            )
        };
        assert_eq!(view(again), view(&book));
        again.revalidate(0);
        assert_eq!(again.take_effects().wake, [untold]);
        assert_eq!(addresses(&told(again, untold)), ["h:3"]);
    };
    let mut again = Book::new(BOUNDS);
    for line in &lines {
        assert!(again.replay(line, 0), "{line}");
    }
    let snapshot: Vec<_> = again.snapshot().iter().map(Record::to_line).collect();
    check(&mut again);
    let mut from_snapshot = Book::new(BOUNDS);
    // A log that was folded already does no harm.
    for line in snapshot.iter().chain(&lines) {
        from_snapshot.replay(line, 0);
    }
    check(&mut from_snapshot);
    for bad in [
        "",
        "{}",
        "x",
        "[]",
        r#"{"context": "1"}"#,
        r#"{"route": [1]}"#,
        r#"{"gone": "x"}"#,
    ] {
        assert!(!from_snapshot.replay(bad, 0), "{bad}");
    }
}
