//! JSON that is passed on as it was written: checked, never rebuilt, so that no number is rounded.

mod check;
mod writer;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use self::check::{Kind, Shape, look, plain};
pub(crate) use self::writer::Writer;

/// Why a text cannot be the parameters of an action.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoParameters {
    #[error("the request body is not JSON: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the parameters must be a JSON object")]
    NoObject,
}

/// The parameters in a request's body as compact JSON text; nothing stands for none.
pub(crate) fn parameters(body: &[u8]) -> Result<String, NoParameters> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok("{}".to_owned());
    }
    if let Some(shape) = look(body)
        && let Ok(text) = std::str::from_utf8(body)
    {
        return match shape {
            Shape {
                kind: Kind::Object,
                is_spaced: true,
            } => Ok(compact(text)),
            Shape {
                kind: Kind::Object, ..
            } => Ok(text.to_owned()),
            _ => Err(NoParameters::NoObject),
        };
    }
    let value: &RawValue = serde_json::from_slice(body)?;
    if value.get().starts_with('{') {
        Ok(compact(value.get()))
    } else {
        Err(NoParameters::NoObject)
    }
}

/// Valid JSON without the space between its parts.
fn compact(json: &str) -> String {
    let bytes = json.as_bytes();
    let mut compacted = String::with_capacity(json.len());
    // Up to `copied` all has been taken over or left out.
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_text(bytes, at + 1),
            b' ' | b'\n' | b'\t' | b'\r' => {
                compacted.push_str(&json[copied..at]);
                at += 1;
                copied = at;
            }
            _ => at += 1,
        }
    }
    compacted.push_str(&json[copied..]);
    compacted
}

/// What follows the quote that ends a text, of which `at` is within.
fn end_of_text(json: &[u8], mut at: usize) -> usize {
    loop {
        at += plain(json.get(at..).unwrap_or_default());
        match json.get(at) {
            Some(b'\\') => at += 2,
            _ => return at + 1,
        }
    }
}

/// The members of an object; of several of one name the last counts.
pub(crate) type Members = BTreeMap<String, Box<RawValue>>;

/// What an action is called with: `bound` parameters, over which those of the request go.
pub(crate) fn merge<'a>(
    bound: &Members,
    parameters: &'a str,
) -> Result<Cow<'a, str>, serde_json::Error> {
    if bound.is_empty() {
        return Ok(parameters.into());
    }
    let given: Members = serde_json::from_str(parameters)?;
    let mut all: BTreeMap<&str, &RawValue> = bound
        .iter()
        .map(|(key, value)| (key.as_str(), &**value))
        .collect();
    all.extend(given.iter().map(|(key, value)| (key.as_str(), &**value)));
    serde_json::to_string(&all).map(Cow::Owned)
}

/// The result of an action that answered `output` and `bytes`, which become its member `name` in
/// base64; and whether it says by itself that it failed. What is no object becomes the `payload` of
/// one beside them.
pub(crate) fn binary_result(output: &str, name: &str, bytes: &[u8]) -> (String, bool) {
    let (text, failed) = match output {
        "" => ("{}".into(), false),
        output => result(output),
    };
    let mut members = match serde_json::from_str::<Members>(&text) {
        Ok(members) => members,
        Err(_) => Members::from([("payload".to_owned(), raw(text.into_owned()))]),
    };
    members.insert(
        name.to_owned(),
        raw(format!("\"{}\"", STANDARD.encode(bytes))),
    );
    let result = serde_json::to_string(&members);
    (result.expect("an object of JSON has a JSON form"), failed)
}

/// Takes bytes out of the parameters of an action: those of its member `name`, if it is base64.
pub(crate) fn take_binary(parameters: &str, name: &str) -> Option<(String, Vec<u8>)> {
    let mut members: Members = serde_json::from_str(parameters).ok()?;
    let text: String = serde_json::from_str(members.get(name)?.get()).ok()?;
    let bytes = STANDARD.decode(text).ok()?;
    members.remove(name);
    Some((serde_json::to_string(&members).ok()?, bytes))
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("it is put together of JSON")
}

/// The result of an action that answered `output`, and whether it says by itself that it failed: an
/// object with a member `error`. Text that is no object or array becomes the `payload` of one.
pub(crate) fn result(output: &str) -> (Cow<'_, str>, bool) {
    if let Some(shape) = look(output.as_bytes()) {
        let json = if shape.is_spaced {
            output.trim_matches([' ', '\n', '\t', '\r'])
        } else {
            output
        };
        return match shape.kind {
            Kind::Object => (json.into(), has_error(json)),
            Kind::Array => (json.into(), false),
            Kind::Scalar => (object("payload", output).into(), false),
        };
    }
    match serde_json::from_str::<&RawValue>(output) {
        Ok(value) if value.get().starts_with('{') => (value.get().into(), has_error(value.get())),
        Ok(value) if value.get().starts_with('[') => (value.get().into(), false),
        _ => (object("payload", output).into(), false),
    }
}

/// An object with one member, a text.
pub(crate) fn object(key: &str, text: &str) -> String {
    let mut out = Writer::with_capacity(key.len() + text.len() + 8);
    out.raw("{");
    out.text(key);
    out.raw(":");
    out.text(text);
    out.raw("}");
    out.into_string()
}

fn has_error(object: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Failure<'a> {
        #[serde(borrow, rename = "error")]
        _error: &'a RawValue,
    }
    // Most results have no such word in them, and need not be read again.
    object.contains("error") && serde_json::from_str::<Failure<'_>>(object).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_compacted_and_otherwise_left_alone() {
        for (body, compacted) in [
            ("", "{}"),
            (" \n", "{}"),
            ("{}", "{}"),
            (
                " { \"a b\" : [ 1.0 , 12345678901234567890123 ] ,\n\t\"c\":\" \\\" \" } ",
                "{\"a b\":[1.0,12345678901234567890123],\"c\":\" \\\" \"}",
            ),
            ("{\"ü\": \"é \u{1F600}\"}", "{\"ü\":\"é \u{1F600}\"}"),
        ] {
            assert_eq!(parameters(body.as_bytes()).unwrap(), compacted, "{body}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["[]", "1", "\"text\"", "null"] {
            let refused = parameters(body.as_bytes());
            assert!(matches!(refused, Err(NoParameters::NoObject)), "{body}");
        }
        for body in ["{", "{} {}", "{'a':1}", "\u{0}"] {
            let refused = parameters(body.as_bytes());
            assert!(matches!(refused, Err(NoParameters::Malformed(_))), "{body}");
        }
        assert!(parameters(b"{\"\xff\":1}").is_err());
    }

    #[test]
    fn given_parameters_go_over_bound_ones() {
        let bound: Members = serde_json::from_str(r#"{"a":1,"b":"x"}"#).unwrap();
        let merged = merge(&bound, r#"{"b":2.50,"c":[]}"#).unwrap();
        assert_eq!(merged, r#"{"a":1,"b":2.50,"c":[]}"#);
        assert_eq!(merge(&Members::new(), "{}").unwrap(), "{}");
    }

    #[test]
    fn objects_and_arrays_are_results_and_anything_else_is_a_payload() {
        for (output, expected, failed) in [
            (r#"{"a":1}"#, r#"{"a":1}"#, false),
            (r#" [1, 2]"#, "[1, 2]", false),
            ("", r#"{"payload":""}"#, false),
            ("1", r#"{"payload":"1"}"#, false),
            ("say \"hi\"\n", r#"{"payload":"say \"hi\"\n"}"#, false),
            ("{broken", r#"{"payload":"{broken"}"#, false),
            (r#"{"error":{"why":1}}"#, r#"{"error":{"why":1}}"#, true),
            (r#"{"a":{"error":1}}"#, r#"{"a":{"error":1}}"#, false),
            (r#"{"a":"error"}"#, r#"{"a":"error"}"#, false),
        ] {
            let (result, has_failed) = result(output);
            assert_eq!((&*result, has_failed), (expected, failed), "{output}");
        }
    }

    #[test]
    fn bytes_are_a_member_beside_what_else_was_answered() {
        let with = |output: &str| binary_result(output, "base64", &[0, 255, 7]);
        for (output, expected, fails) in [
            ("", r#"{"base64":"AP8H"}"#, false),
            ("{}", r#"{"base64":"AP8H"}"#, false),
            (r#"{"n":1.50}"#, r#"{"base64":"AP8H","n":1.50}"#, false),
            (r#"{"base64":"own"}"#, r#"{"base64":"AP8H"}"#, false),
            ("text", r#"{"base64":"AP8H","payload":"text"}"#, false),
            ("[1]", r#"{"base64":"AP8H","payload":[1]}"#, false),
            (r#"{"error":1}"#, r#"{"base64":"AP8H","error":1}"#, true),
        ] {
            assert_eq!(with(output), (expected.to_owned(), fails), "{output}");
        }
    }

    #[test]
    fn bytes_are_taken_out_of_parameters_if_they_are_base64() {
        let taken = take_binary(r#"{"a":1.50,"base64":"AP8H"}"#, "base64");
        assert_eq!(taken, Some((r#"{"a":1.50}"#.to_owned(), vec![0, 255, 7])));
        for other in ["{}", r#"{"base64":7}"#, r#"{"base64":"no base64!"}"#] {
            assert_eq!(take_binary(other, "base64"), None, "{other}");
        }
    }
}
