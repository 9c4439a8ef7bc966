//! Field sections, as the specification and another implementation write them.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use proptest::prelude::*;

use super::*;
use crate::http2::Fields;
use crate::http2::hpack::huffman::tests::encode as huffman;
use crate::http2::hpack::{self, integer};

type Text = (Vec<u8>, Vec<u8>);

fn decoded(section: &[u8]) -> Result<Vec<Text>, Malformed> {
    let mut fields = Fields::new(1 << 20);
    Decoder::new().decode(section, &mut fields)?;
    let owned = |field: crate::http2::Field<'_>| (field.name.to_vec(), field.value.to_vec());
    Ok(fields.iter().map(owned).collect())
}

fn text(name: &str, value: &str) -> Text {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

#[test]
fn the_example_of_rfc_9204_b_1_is_read_and_written() {
    let section = [&[0, 0, 0x51, 0x0b][..], b"/index.html"].concat();
    assert_eq!(decoded(&section), Ok(vec![text(":path", "/index.html")]));
    let mut written = PREFIX.to_vec();
    field(&mut written, b":path", b"/index.html");
    assert_eq!(written, section);
}

#[test]
fn the_examples_of_rfc_9204_that_need_a_table_are_refused() {
    // B.2: two entries behind the base; B.3 and B.4 refer to entries before it.
    for section in [
        &[0x03, 0x81, 0x10, 0x11][..],
        &[0x05, 0x00, 0x80, 0xc1, 0x81],
        &[0x06, 0x00, 0x80],
    ] {
        assert_eq!(decoded(section), Err(Malformed::NoTable));
    }
}

#[test]
fn every_field_of_the_static_table_has_its_number() {
    for (number, (name, value)) in table::STATIC.iter().enumerate() {
        let mut section = PREFIX.to_vec();
        indexed(&mut section, number);
        with_name(&mut section, number, b"other");
        let expected = vec![text(name, value), text(name, "other")];
        assert_eq!(decoded(&section), Ok(expected), "{number}");
        assert_eq!(
            table::number_of(name.as_bytes(), value.as_bytes()),
            Some(number)
        );
        let first = table::number_of_name(name.as_bytes()).unwrap();
        assert_eq!(table::STATIC[first].0, *name);
    }
    let known = |number: usize| table::STATIC[number];
    assert_eq!(known(number::AUTHORITY).0, ":authority");
    assert_eq!(known(number::PATH).0, ":path");
    assert_eq!(known(number::METHOD_POST), (":method", "POST"));
    assert_eq!(known(number::SCHEME_HTTPS), (":scheme", "https"));
    assert_eq!(known(number::STATUS_200), (":status", "200"));
    assert_eq!(known(number::CONTENT_TYPE).0, "content-type");
    assert_eq!(known(number::SERVER).0, "server");
    assert_eq!(known(number::USER_AGENT).0, "user-agent");
}

#[test]
fn what_is_no_section_is_told_apart() {
    use Malformed::{Base, Index, NoTable, Text};
    use hpack::Malformed::{CutShort, Huffman, Integer};
    let long = [0xff; 12];
    for (section, error) in [
        // Without a prefix, or half of one.
        (&[][..], Text(CutShort)),
        (&[0], Text(CutShort)),
        (&[0xff], Text(CutShort)),
        (&long, Text(Integer)),
        (&[1, 0], NoTable),
        (&[0, 0x80], Base),
        (&[0, 0x81], Base),
        // No field 99, nor one of which the number has no end.
        (&[0, 0, 0xff, 99 - 63], Index),
        (&[0, 0, 0x5f, 99 - 15, 0], Index),
        (&[0, 0, 0xff], Text(CutShort)),
        (
            &[0, 0, 0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
            Text(Integer),
        ),
        // The dynamic table: indexed, by name, behind the base by name and indexed.
        (&[0, 0, 0x80], NoTable),
        (&[0, 0, 0x40, 0], NoTable),
        (&[0, 0, 0x00, 0], NoTable),
        (&[0, 0, 0x10], NoTable),
        // Strings that end too early.
        (&[0, 0, 0x51], Text(CutShort)),
        (&[0, 0, 0x51, 2, b'/'], Text(CutShort)),
        (&[0, 0, 0x22, b'a'], Text(CutShort)),
        (&[0, 0, 0x21, b'a'], Text(CutShort)),
        (&[0, 0, 0x27], Text(CutShort)),
        // Strings that are not coded as they should be: padding of zeros.
        (&[0, 0, 0x51, 0x81, 0b0000_0110], Text(Huffman)),
        (&[0, 0, 0x29, 0b0000_0110, 0], Text(Huffman)),
    ] {
        assert_eq!(decoded(section), Err(error), "{section:x?}");
    }
    assert_eq!(decoded(&[0, 0]), Ok(Vec::new()));
}

#[test]
fn a_field_that_must_never_be_indexed_is_a_field() {
    let section = [&[0, 0, 0x71, 1][..], b"/", &[0x31, b'a', 1, b'b']].concat();
    assert_eq!(
        decoded(&section),
        Ok(vec![text(":path", "/"), text("a", "b")])
    );
}

pub(super) fn any_field() -> impl Strategy<Value = Text> {
    let name = prop_oneof![
        Just("content-type".to_owned()),
        Just("grpc-timeout".to_owned()),
        Just(":path".to_owned()),
        "[a-z][a-z0-9-]{0,300}",
    ];
    let value = prop_oneof![
        Just("application/json".to_owned()),
        "[ -~]{0,40}",
        "[ -~]{100,400}",
    ];
    (name, value).prop_map(|(name, value)| (name.into_bytes(), value.into_bytes()))
}

proptest! {
    #[test]
    fn what_is_written_is_read(fields in prop::collection::vec(any_field(), 0..8)) {
        let mut section = PREFIX.to_vec();
        for (name, value) in &fields {
            field(&mut section, name, value);
        }
        prop_assert_eq!(decoded(&section), Ok(fields));
    }

    #[test]
    fn strings_may_be_coded_or_not(fields in prop::collection::vec((any_field(), any::<[bool; 2]>()), 0..20)) {
        let mut section = PREFIX.to_vec();
        let mut expected = Vec::new();
        for ((name, value), [coded_name, coded_value]) in fields {
            for (text, is_coded, pattern, prefix) in
                [(&name, coded_name, 0x20, 3), (&value, coded_value, 0, 7)]
            {
                let coded = if is_coded { huffman(text) } else { text.clone() };
                let pattern = pattern | if is_coded { 1 << prefix } else { 0 };
                integer::put(&mut section, pattern, prefix, coded.len());
                section.extend(coded);
            }
            expected.push((name, value));
        }
        prop_assert_eq!(decoded(&section), Ok(expected));
    }

    #[test]
    fn no_section_makes_a_decoder_panic(section: Vec<u8>, has_prefix: bool) {
        let prefix = if has_prefix { &PREFIX[..] } else { &[] };
        let _any = decoded(&[prefix, &section].concat());
    }
}
