//! Header blocks against another implementation.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use proptest::prelude::*;

use super::huffman::tests::encode as huffman;
use super::*;
use crate::http2::Fields;

type Text = (Vec<u8>, Vec<u8>);

fn field() -> impl Strategy<Value = Text> {
    let name = prop_oneof![
        Just("content-type".to_owned()),
        Just("grpc-timeout".to_owned()),
        Just(":path".to_owned()),
        "[a-z][a-z0-9-]{0,12}",
    ];
    let value = prop_oneof![
        Just("application/grpc".to_owned()),
        "[ -~]{0,40}",
        "[ -~]{100,400}",
    ];
    (name, value).prop_map(|(name, value)| (name.into_bytes(), value.into_bytes()))
}

fn blocks() -> impl Strategy<Value = Vec<Vec<Text>>> {
    prop::collection::vec(prop::collection::vec(field(), 0..8), 1..12)
}

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Vec<Text> {
    let mut fields = Fields::new(1 << 20);
    decoder.decode(block, &mut fields).unwrap();
    let owned = |field: crate::http2::Field<'_>| (field.name.to_vec(), field.value.to_vec());
    fields.iter().map(owned).collect()
}

proptest! {
    #[test]
    fn what_another_encoder_says_is_understood(blocks in blocks()) {
        let mut encoder = fluke_hpack::Encoder::new();
        let mut decoder = Decoder::new(4096);
        for fields in blocks {
            let block = encoder.encode(fields.iter().map(|(n, v)| (&n[..], &v[..])));
            prop_assert_eq!(decoded(&mut decoder, &block), fields);
        }
    }

    #[test]
    fn another_decoder_understands_what_we_say(
        blocks in blocks(), limits in prop::collection::vec(prop_oneof![Just(4096), 0..400usize], 12)
    ) {
        let mut encoder = Encoder::new();
        let mut decoder = fluke_hpack::Decoder::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        for (fields, limit) in blocks.into_iter().zip(limits) {
            encoder.set_limit(limit);
            let half = fields.len() / 2;
            let first: Vec<_> = fields[..half].iter().map(|(n, v)| (text(n), text(v))).collect();
            let first: Vec<_> = first.iter().map(|(n, v)| (&n[..], &v[..])).collect();
            let mut template = Template::new(&first).ending_with("last");
            for value in [&b"1"[..], b"2", b"3"] {
                let mut block = Vec::new();
                encoder.begin(&mut block, &mut template, value);
                for (name, value) in &fields[half..] {
                    encoder.literal(&mut block, name, value);
                }
                let mut expected = fields.clone();
                expected.insert(half, (b"last".to_vec(), value.to_vec()));
                prop_assert_eq!(decoder.decode(&block).unwrap(), expected);
            }
        }
    }

    #[test]
    fn strings_may_be_coded_or_not(fields in prop::collection::vec((field(), any::<[bool; 3]>()), 0..20)) {
        let mut decoder = Decoder::new(300);
        for ((name, value), [coded_name, coded_value, is_remembered]) in fields {
            let mut block = vec![if is_remembered { 0x40 } else { 0x10 }];
            for (text, is_coded) in [(&name, coded_name), (&value, coded_value)] {
                let coded = if is_coded { huffman(text) } else { text.clone() };
                integer::put(&mut block, if is_coded { 0x80 } else { 0 }, 7, coded.len());
                block.extend(coded);
            }
            prop_assert_eq!(decoded(&mut decoder, &block), vec![(name, value)]);
        }
    }

    #[test]
    fn no_block_makes_a_decoder_panic(blocks in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let mut decoder = Decoder::new(4096);
        let mut fields = Fields::new(1000);
        for block in blocks {
            fields.clear();
            let _any = decoder.decode(&block, &mut fields);
        }
    }
}

#[test]
fn a_table_that_grows_against_the_rules_is_refused() {
    let mut decoder = Decoder::new(4096);
    let mut fields = Fields::new(1000);
    let mut decode = |block: &[u8]| decoder.decode(block, &mut fields);
    assert_eq!(decode(&[0x20, 0x3f, 0xe1, 0x1f]), Ok(()));
    assert_eq!(decode(&[0x3f, 0xe2, 0x1f]), Err(Malformed::TableSize));
    assert_eq!(decode(&[0x82, 0x20]), Err(Malformed::TableSize));
    assert_eq!(decode(&[0x80]), Err(Malformed::Index));
    assert_eq!(decode(&[0x80 | 62]), Err(Malformed::Index));
    assert_eq!(decode(&[0x40, 5, b'a']), Err(Malformed::CutShort));
}
