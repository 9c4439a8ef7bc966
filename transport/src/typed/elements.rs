//! How many names, numbers and states a request has, found out before there is room made for them: an
//! empty name takes two bytes of a message, and twelve times as much memory.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// So many a request may have, in its chain, its graph and its states together.
pub(super) const MOST: usize = 100_000;

/// A field that may be repeated.
enum Field {
    /// A text, or a number.
    Plain,
    /// Numbers, one behind the other.
    Numbers,
    /// A message with such fields.
    Message(&'static [(u32, Field)]),
}

/// Those of a `LambdaRequest`, by their numbers.
const REQUEST: &[(u32, Field)] = &[
    // States: their contents are bytes.
    (7, Field::Plain),
    (9, Field::Plain),
    (10, Field::Message(DAG)),
    // Dependencies: lists by the names of states.
    (
        11,
        Field::Message(&[(2, Field::Message(&[(1, Field::Plain)]))]),
    ),
];
const DAG: &[(u32, Field)] = &[
    (1, Field::Message(&[(1, Field::Numbers)])),
    (2, Field::Plain),
];

/// Whether `message`, a request, has more of them than [`MOST`]. One that is malformed is for the decoder
/// to refuse.
pub(super) fn are_too_many(message: &[u8]) -> bool {
    // Each takes a byte at the least.
    message.len() > MOST && left(message, REQUEST, MOST).is_none()
}

/// How many more there may be behind those of `bytes`.
fn left(mut bytes: &[u8], fields: &[(u32, Field)], mut most: usize) -> Option<usize> {
    while let Ok((number, kind)) = decode_key(&mut bytes) {
        let known = fields.iter().find(|(known, _)| *known == number);
        if let Some((_, field)) = known {
            most = most.checked_sub(1)?;
            if kind == WireType::LengthDelimited {
                let Some(content) = content(&mut bytes) else {
                    break;
                };
                match field {
                    Field::Plain => {}
                    Field::Message(fields) => most = left(content, fields, most)?,
                    Field::Numbers => {
                        let ends = content.iter().filter(|byte| **byte < 0x80);
                        most = most.checked_sub(ends.count())?;
                    }
                }
                continue;
            }
        }
        if skip_field(kind, number, &mut bytes, DecodeContext::default()).is_err() {
            break;
        }
    }
    Some(most)
}

/// Takes a length and as many bytes off the front of `bytes`.
fn content<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
    let (content, behind) = bytes.split_at_checked(length)?;
    *bytes = behind;
    Some(content)
}

#[cfg(test)]
mod tests {
    use edge_proto::rpc::{Dag, FunctionList, IndexList, LambdaRequest, State};
    use prost::Message as _;

    use super::*;

    /// A request with `count` of them, of each kind.
    fn requests(count: usize) -> [LambdaRequest; 5] {
        let names = vec![String::new(); count];
        let dag = |successors, names| LambdaRequest {
            dag: Some(Dag { successors, names }),
            ..LambdaRequest::default()
        };
        let numbers = |functions| IndexList { functions };
        let lists = [(
            String::new(),
            FunctionList {
                functions: names.clone(),
            },
        )];
        [
            LambdaRequest {
                chain: names.clone(),
                ..LambdaRequest::default()
            },
            dag(Vec::new(), names),
            dag(vec![IndexList::default(); count], Vec::new()),
            dag(vec![numbers(vec![300; count])], Vec::new()),
            LambdaRequest {
                dependencies: lists.into(),
                ..LambdaRequest::default()
            },
        ]
    }

    #[test]
    fn names_and_numbers_are_counted_wherever_they_stand() {
        // Lists and graphs count themselves.
        for request in requests(MOST - 3) {
            assert!(!are_too_many(&request.encode_to_vec()));
        }
        for request in requests(MOST + 1) {
            assert!(are_too_many(&request.encode_to_vec()));
        }
    }

    #[test]
    fn states_and_inputs_may_be_as_large_as_they_like() {
        let state = State {
            content: [0x4a, 0].repeat(MOST).into(),
            ..State::default()
        };
        let request = LambdaRequest {
            datain: [0x4a, 0].repeat(MOST).into(),
            states: (0..100)
                .map(|number| (number.to_string(), state.clone()))
                .collect(),
            ..LambdaRequest::new("name", "input")
        };
        assert!(!are_too_many(&request.encode_to_vec()));
    }

    #[test]
    fn what_is_no_request_is_left_to_the_decoder() {
        for bytes in [0xff, 0x4a, 0x0b].map(|byte| vec![byte; 2 * MOST]) {
            assert!(!are_too_many(&bytes) || LambdaRequest::decode(&bytes[..]).is_err());
        }
    }
}
