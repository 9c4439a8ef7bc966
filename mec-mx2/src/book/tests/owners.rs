//! Whose contexts are whose, where nobody says who it is.

use super::*;

#[test]
fn an_address_has_no_more_contexts_than_an_owner_unless_it_is_here() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    let ask = |book: &mut Book, address: &str| {
        book.create(request(json!({})), caller(address), 1, "grpc", 0)
    };
    // What one host has to itself is one address.
    for (address, another) in [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::ffff:2"),
    ] {
        let mut last = None;
        for _ in 0..BOUNDS.contexts_per_owner {
            last = Some(ask(&mut book, address).unwrap().0);
        }
        let refused = ask(&mut book, another).unwrap_err();
        assert_eq!(refused.status, http::StatusCode::FORBIDDEN);
        book.delete(last.unwrap(), &caller(address)).unwrap();
        assert!(ask(&mut book, another).is_ok());
    }
    for address in ["10.0.0.2", "2001:db8:0:1::1"] {
        assert!(ask(&mut book, address).is_ok());
    }
    for _ in 0..=BOUNDS.contexts_per_owner {
        assert!(ask(&mut book, "127.0.0.1").is_ok());
    }
}

#[test]
fn a_device_application_by_name_is_one_of_the_older_kind_at_the_same_address() {
    let mut book = book();
    book.associate("", "a", "h:1", 0).unwrap();
    create(&mut book, "10.0.0.1");
    assert_eq!(book.of_device_app("d", &caller("10.0.0.1")), None);
    let id = legacy(&mut book, "10.0.0.1");
    assert_eq!(book.of_device_app("d", &caller("10.0.0.1")), Some(id));
    let mut alice = caller("10.0.0.1");
    alice.subject = Some("alice".into());
    for stranger in [&caller("10.0.0.2"), &alice] {
        assert_eq!(book.of_device_app("d", stranger), None);
    }
    assert_eq!(book.of_device_app("e", &caller("10.0.0.1")), None);
    book.delete(id, &caller("10.0.0.1")).unwrap();
    assert_eq!(book.of_device_app("d", &caller("10.0.0.1")), None);
}
