//! What goes into a function as text and comes out of it as text: JSON objects, and what stands in
//! for them where they are not.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The member that text becomes which is no JSON object.
const PAYLOAD: &str = "payload";

/// How texts and JSON become each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mapping {
    /// Whether an answer that is only `{"payload": "text"}` becomes that text, as in the C++
    /// reference; else it stays as it is.
    pub payload_shortcut: bool,
    /// The member that binary input and output travel in, in base64. Without it, requests with
    /// binary input are turned away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_member: Option<String>,
}

/// Binary input where there is no member for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("functions take no binary input here (there is no binary-member)")]
pub struct NoBinary;

/// What an answer is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Text output.
    pub output: String,
    /// Binary output.
    pub dataout: Bytes,
}

impl Mapping {
    /// The parameters of a function: `input` itself if it is a JSON object, nothing if it is empty,
    /// any other text as the member `payload`.
    ///
    /// # Errors
    /// There is binary input and no member for it.
    pub fn params(&self, input: &str, datain: &Bytes) -> Result<Box<RawValue>, NoBinary> {
        let object = object(input);
        if datain.is_empty() {
            return Ok(object);
        }
        let member = self.binary_member.as_ref().ok_or(NoBinary)?;
        let encoded = quoted(&STANDARD.encode(datain));
        Ok(with_member(&object, &quoted(member), &encoded))
    }

    /// What a function has answered, as output of a lambda.
    pub fn outputs(&self, result: &RawValue) -> Outputs {
        let mut outputs = Outputs {
            output: result.get().to_owned(),
            dataout: Bytes::new(),
        };
        if let Some(name) = &self.binary_member
            && let Some((rest, bytes)) = take_bytes(result, name)
        {
            outputs.output = rest;
            outputs.dataout = bytes.into();
        }
        if self.payload_shortcut
            && let Ok(only) = serde_json::from_str::<OnlyPayload>(&outputs.output)
        {
            outputs.output = only.payload;
        }
        outputs
    }
}

/// The member `name` of an object, if it is base64, and the object without it, whose other members
/// stay as they were written: no number is rounded.
fn take_bytes(object: &RawValue, name: &str) -> Option<(String, Vec<u8>)> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(object.get()).ok()?;
    let text: String = serde_json::from_str(members.remove(name)?.get()).ok()?;
    let bytes = STANDARD.decode(text).ok()?;
    Some((serde_json::to_string(&members).ok()?, bytes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyPayload {
    payload: String,
}

/// The member `error` of an answer, by which functions say that they have failed.
#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// What is there is there, `null` included.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What a function says of its failure, for a person; `None` if it says nothing of the kind.
pub fn failure(result: &RawValue) -> Option<String> {
    if !is_object(result.get()) {
        return None;
    }
    let failure: Failure<'_> = serde_json::from_str(result.get()).ok()?;
    let error = failure.error?.get();
    Some(serde_json::from_str(error).unwrap_or_else(|_| error.to_owned()))
}

/// Whether a JSON text is an object.
pub fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{')
}

/// Whether a JSON text is an array.
pub fn is_array(json: &str) -> bool {
    json.trim_start().starts_with('[')
}

fn object(input: &str) -> Box<RawValue> {
    if input.trim().is_empty() {
        return raw("{}".to_owned());
    }
    if is_object(input)
        && let Ok(object) = serde_json::from_str(input)
    {
        return object;
    }
    raw(format!("{{\"{PAYLOAD}\":{}}}", quoted(input)))
}

fn with_member(object: &RawValue, name: &str, value: &str) -> Box<RawValue> {
    let inside = object.get().trim();
    let inside = inside[1..inside.len() - 1].trim();
    let comma = if inside.is_empty() { "" } else { "," };
    raw(format!("{{{inside}{comma}{name}:{value}}}"))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("it is put together of JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(input: &str) -> String {
        let params = Mapping::default().params(input, &Bytes::new());
        params.unwrap().get().to_owned()
    }

    #[test]
    fn objects_go_in_as_they_are_and_other_texts_as_their_payload() {
        for object in [
            "{}",
            r#"{"b":1,"a":"\"\n"}"#,
            r#"{"n":12345678901234567890123}"#,
        ] {
            assert_eq!(params(object), object);
        }
        assert_eq!(params(" \n"), "{}");
        assert_eq!(params("[1]"), r#"{"payload":"[1]"}"#);
        assert_eq!(params("say \"hé\"\n"), r#"{"payload":"say \"hé\"\n"}"#);
        assert_eq!(params("{broken"), r#"{"payload":"{broken"}"#);
    }

    #[test]
    fn answers_come_out_as_they_are_unless_the_shortcut_is_wanted() {
        let result = raw(r#"{"payload":"a\nb"}"#.to_owned());
        let plain = Mapping::default().outputs(&result);
        assert_eq!(plain.output, result.get());
        let shortcut = Mapping {
            payload_shortcut: true,
            ..Mapping::default()
        };
        assert_eq!(shortcut.outputs(&result).output, "a\nb");
        for other in [r#"{"payload":1}"#, r#"{"payload":"a","b":1}"#, "[1]", "{}"] {
            assert_eq!(shortcut.outputs(&raw(other.to_owned())).output, other);
        }
    }

    #[test]
    fn bytes_travel_in_the_member_that_is_configured_or_not_at_all() {
        let bytes = Bytes::from_static(&[0, 255, 7]);
        let none = Mapping::default().params("{}", &bytes);
        assert_eq!(none.unwrap_err(), NoBinary);
        let mapping = Mapping {
            binary_member: Some("data".to_owned()),
            ..Mapping::default()
        };
        let params = mapping.params(r#"{"a":1}"#, &bytes).unwrap();
        assert_eq!(params.get(), r#"{"a":1,"data":"AP8H"}"#);
        let outputs = mapping.outputs(&params);
        assert_eq!(
            (outputs.output.as_str(), outputs.dataout),
            (r#"{"a":1}"#, bytes)
        );
    }

    #[test]
    fn what_is_beside_bytes_comes_out_as_it_is() {
        let mapping = Mapping {
            binary_member: Some("data".to_owned()),
            ..Mapping::default()
        };
        let beside = r#"{"a":12345678901234567890123,"b":1e400,"c":[1.50,"\u00e9"]}"#;
        let result = beside.replace(r#""b""#, r#""data":"AP8H","b""#);
        let outputs = mapping.outputs(&raw(result));
        assert_eq!(
            (outputs.output.as_str(), outputs.dataout.len()),
            (beside, 3)
        );
        for other in [r#"{"data":1,"n":1.0}"#, r#"{"data":"no base64"}"#, "[1.0]"] {
            let outputs = mapping.outputs(&raw(other.to_owned()));
            assert_eq!((outputs.output.as_str(), outputs.dataout.len()), (other, 0));
        }
    }

    #[test]
    fn failures_are_what_the_member_error_says() {
        let said = |json: &str| failure(&raw(json.to_owned()));
        assert_eq!(said(r#"{"error":"no \"luck\""}"#).unwrap(), "no \"luck\"");
        assert_eq!(said(r#"{"error":{"code":7}}"#).unwrap(), r#"{"code":7}"#);
        assert_eq!(said(r#"{"result":{"error":1}}"#), None);
        assert_eq!(said(r#"["error"]"#), None);
    }
}
