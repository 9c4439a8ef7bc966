//! Reads members of JSON objects and collects every fault, each with its JSON pointer.

use serde_json::{Map, Value};

use super::problem::{Fault, Problem};

/// Faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Fault {
            name: name.into(),
            reason: reason.into(),
        });
    }

    pub(crate) fn found(self) -> Vec<Fault> {
        self.0
    }

    /// `value` unless there were faults.
    pub(crate) fn none_or<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Problem::invalid(self.0)),
        }
    }
}

/// Parses a body that has to be an object, and takes it out of any of the `wrappers` that
/// some clients put around it. Returns the object and the pointer to it.
pub(crate) fn parse_object(
    body: &[u8],
    wrappers: &[&str],
) -> Result<(Map<String, Value>, String), Problem> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::malformed(format!("the body is no JSON: {error}")))?;
    let Value::Object(mut object) = value else {
        return Err(Problem::malformed("the body is no JSON object"));
    };
    if object.len() == 1 {
        for wrapper in wrappers {
            if let Some(Value::Object(inner)) = object.remove(*wrapper) {
                return Ok((inner, format!("/{wrapper}")));
            }
        }
    }
    Ok((object, String::new()))
}

/// An object and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Object<'a> {
    members: &'a Map<String, Value>,
    pointer: String,
}

impl<'a> Object<'a> {
    pub(crate) fn new(members: &'a Map<String, Value>, pointer: impl Into<String>) -> Self {
        Self {
            members,
            pointer: pointer.into(),
        }
    }

    /// The pointer to the member `name`.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }

    /// The member, also where it is null: that is not the same as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// All members but some.
    pub(crate) fn rest(&self, but: &[&str]) -> Map<String, Value> {
        let others = self
            .members
            .iter()
            .filter(|(key, _)| !but.contains(&key.as_str()));
        others
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The first of the names that there is, as some descriptions call it this, others that.
    fn named(&self, names: &[&'static str]) -> (&'static str, Option<&'a Value>) {
        names
            .iter()
            .find_map(|name| Some((*name, Some(self.get(name)?))))
            .unwrap_or((names[0], None))
    }

    /// A text that may be absent, of at most `max` characters.
    pub(crate) fn text(
        &self,
        name: &'static str,
        max: usize,
        faults: &mut Faults,
    ) -> Option<&'a str> {
        self.any_text(&[name], max, faults)
    }

    /// As [`Self::text`], under any of several names.
    pub(crate) fn any_text(
        &self,
        names: &[&'static str],
        max: usize,
        faults: &mut Faults,
    ) -> Option<&'a str> {
        let (name, value) = self.named(names);
        match value? {
            Value::String(text) if text.chars().nth(max).is_some() => {
                faults.add(self.at(name), format!("must have at most {max} characters"));
                None
            }
            Value::String(text) => Some(text),
            _ => {
                faults.add(self.at(name), "must be a string");
                None
            }
        }
    }

    /// A text that must be there and must not be empty.
    pub(crate) fn required_text(
        &self,
        names: &[&'static str],
        max: usize,
        faults: &mut Faults,
    ) -> Option<&'a str> {
        let (name, value) = self.named(names);
        if value.is_none() {
            faults.add(self.at(name), "is required");
            return None;
        }
        match self.any_text(names, max, faults) {
            Some("") => {
                faults.add(self.at(name), "must not be empty");
                None
            }
            other => other,
        }
    }

    /// A boolean that may be absent.
    pub(crate) fn boolean(&self, name: &str, faults: &mut Faults) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(value) => Some(*value),
            _ => {
                faults.add(self.at(name), "must be true or false");
                None
            }
        }
    }

    /// A number from 0 to 2^32 - 1 that may be absent.
    pub(crate) fn number(&self, name: &str, faults: &mut Faults) -> Option<u32> {
        let number = self.get(name)?.as_u64().and_then(|n| u32::try_from(n).ok());
        if number.is_none() {
            faults.add(self.at(name), "must be an integer from 0 to 4294967295");
        }
        number
    }

    /// An object that may be absent.
    pub(crate) fn object(&self, name: &str, faults: &mut Faults) -> Option<Object<'a>> {
        match self.get(name)? {
            Value::Object(members) => Some(Object::new(members, self.at(name))),
            _ => {
                faults.add(self.at(name), "must be an object");
                None
            }
        }
    }

    /// An object that must be there.
    pub(crate) fn required_object(&self, name: &str, faults: &mut Faults) -> Option<Object<'a>> {
        if self.get(name).is_none() {
            faults.add(self.at(name), "is required");
        }
        self.object(name, faults)
    }

    /// An array that may be absent.
    pub(crate) fn array(&self, name: &str, faults: &mut Faults) -> Option<&'a [Value]> {
        match self.get(name)? {
            Value::Array(values) => Some(values),
            _ => {
                faults.add(self.at(name), "must be an array");
                None
            }
        }
    }

    /// The objects of an array that may be absent.
    pub(crate) fn objects(&self, name: &str, faults: &mut Faults) -> Option<Vec<Object<'a>>> {
        let values = self.array(name, faults)?;
        let mut objects = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let pointer = format!("{}/{index}", self.at(name));
            match value {
                Value::Object(members) => objects.push(Object::new(members, pointer)),
                _ => faults.add(pointer, "must be an object"),
            }
        }
        Some(objects)
    }
}
