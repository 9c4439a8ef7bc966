use serde_json::value::RawValue;

use super::*;

/// What `serde_json` says.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn check(text: &str) {
    assert_eq!(look(text.as_bytes()).is_some(), is_json(text), "{text:?}");
}

#[test]
fn all_short_texts_are_told_apart_as_by_serde() {
    const PIECES: [&str; 20] = [
        "{", "}", "[", "]", ",", ":", "\"", "a", "\\", "0", "1", "-", ".", "e", "+", " ", "\n",
        "true", "null", "\"a\"",
    ];
    let mut texts = vec![String::new()];
    for _ in 0..4 {
        let longer = |text: &String| PIECES.map(|piece| format!("{text}{piece}"));
        texts = texts.iter().flat_map(longer).collect();
        texts.iter().for_each(|text| check(text));
    }
}

#[test]
fn documents_with_a_byte_changed_are_told_apart_as_by_serde() {
    const DOCUMENT: &str = r#" {"a" : [1, -2.50e+7, 0.1E-3, true, false, null, {}, [], "x"],
        "b\n\u00fC\"":{"c":{"d":[[[ ]]],"e" : "\\"}}, "":0 } "#;
    check(DOCUMENT);
    for at in 0..DOCUMENT.len() {
        check(&DOCUMENT[at..]);
        check(&DOCUMENT[..at]);
        for byte in 0..0x80_u8 {
            let mut changed = DOCUMENT.as_bytes().to_vec();
            changed[at] = byte;
            check(&String::from_utf8(changed).unwrap());
        }
    }
}

#[test]
fn what_is_nested_too_deep_is_left_to_serde() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(look(nested(64).as_bytes()).is_some());
    assert!(look(nested(65).as_bytes()).is_none());
    let mixed = format!("{}1{}", "[{\"a\":".repeat(32), "}]".repeat(32));
    assert!(look(mixed.as_bytes()).is_some());
    check(&mixed);
}

#[test]
fn space_counts_outside_of_texts_only() {
    let shape = |text: &str| look(text.as_bytes()).unwrap();
    for (text, kind, is_spaced) in [
        ("{\"a b\":\" \"}", Kind::Object, false),
        ("{\"a\": 1}", Kind::Object, true),
        ("[1]\n", Kind::Array, true),
        (" \"x\"", Kind::Scalar, true),
        ("1", Kind::Scalar, false),
    ] {
        assert_eq!(shape(text), Shape { kind, is_spaced }, "{text}");
    }
}
