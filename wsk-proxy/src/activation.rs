//! The record of one invocation: what it was, how long it took, what came of it.

mod written;

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::names::ActionName;

/// The version of everything that has no versions of its own.
pub(crate) const VERSION: &str = "0.0.1";

/// Identity of an activation: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ActivationId(Uuid);

/// 32 hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits([u8; Simple::LENGTH]);

impl Digits {
    pub(crate) fn of(uuid: Uuid) -> Self {
        let mut digits = [0; Simple::LENGTH];
        uuid.simple().encode_lower(&mut digits);
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are text")
    }

    /// As the value of a header.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("digits are fit for a header")
    }
}

/// Why a text is no activation id; the text is what OpenWhisk's clients look for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidId {
    #[error("the activation id is {0} characters long; there must be 32")]
    Length(usize),
    #[error("the activation id has characters that are no lower-case hexadecimal digits")]
    Digits,
}

impl ActivationId {
    /// A fresh one.
    pub(crate) fn random() -> Self {
        Self(random_uuid())
    }

    /// As the value of a header.
    pub(crate) fn header(self) -> HeaderValue {
        self.digits().header()
    }

    /// As text, which takes no memory of its own.
    pub(crate) fn digits(self) -> Digits {
        Digits::of(self.0)
    }

    /// The one of these bytes.
    pub(crate) fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The same as requests carry it through brokers.
    pub(crate) fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for ActivationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let length = text.chars().count();
        if length != 32 {
            return Err(InvalidId::Length(length));
        }
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !text.bytes().all(digit) {
            return Err(InvalidId::Digits);
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| InvalidId::Digits)
    }
}

impl Serialize for ActivationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ActivationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A random UUID. Each of [`Uuid::new_v4`] is a call of the system; this is of a generator that
/// was seeded by one.
pub(crate) fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// What became of an invocation, in OpenWhisk's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Success,
    /// The action ran and says that it failed.
    ApplicationError,
    /// The action could not run to its end.
    DeveloperError,
    /// The platform failed.
    InternalError,
}

impl Status {
    /// As it is written in records.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ApplicationError => "application error",
            Self::DeveloperError => "action developer error",
            Self::InternalError => "whisk internal error",
        }
    }

    /// As a number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::ApplicationError => 1,
            Self::DeveloperError => 2,
            Self::InternalError => 3,
        }
    }
}

/// What kind of action ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A lambda behind the broker.
    Lambda,
    /// Actions one after the other.
    Sequence,
}

impl Kind {
    /// As clients see it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Lambda => "blackbox",
            Self::Sequence => "sequence",
        }
    }
}

/// How a lambda was executed, as far as its answer tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    pub(crate) hops: u32,
    /// Loads of the processor in per cent, during the last 1, 10 and 30 seconds.
    pub(crate) loads: [u32; 3],
    /// Milliseconds of the activation that were not spent executing.
    pub(crate) wait_ms: u64,
    /// Milliseconds spent on preparing to execute; 0 when warm.
    pub(crate) init_ms: u64,
}

/// The texts of an activation, in one piece of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts {
    /// Lambda, responder, result.
    all: Box<str>,
    responder_at: usize,
    result_at: usize,
}

impl Texts {
    /// `result` is valid JSON.
    pub(crate) fn new(lambda: &str, responder: &str, result: &str) -> Self {
        let responder_at = lambda.len();
        let result_at = responder_at + responder.len();
        let mut all = String::with_capacity(result_at + result.len());
        for text in [lambda, responder, result] {
            all.push_str(text);
        }
        Self {
            all: all.into(),
            responder_at,
            result_at,
        }
    }

    /// All bytes of them.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// One behind the other.
    pub(crate) fn all(&self) -> &str {
        &self.all
    }

    /// The lambda that was asked for.
    pub(crate) fn lambda(&self) -> &str {
        &self.all[..self.responder_at]
    }

    /// Who answered.
    pub(crate) fn responder(&self) -> &str {
        &self.all[self.responder_at..self.result_at]
    }

    /// What it answered, as JSON.
    pub(crate) fn result(&self) -> &str {
        &self.all[self.result_at..]
    }
}

/// A finished activation.
#[derive(Debug, Clone)]
pub(crate) struct Activation {
    pub(crate) id: ActivationId,
    pub(crate) action: ActionName,
    pub(crate) kind: Kind,
    /// Milliseconds since 1970.
    pub(crate) start_ms: u64,
    pub(crate) end_ms: u64,
    /// The sequence that it was a step of.
    pub(crate) cause: Option<ActivationId>,
    /// The steps of a sequence.
    pub(crate) steps: Vec<ActivationId>,
    pub(crate) trail: Trail,
    /// Its time ran out.
    pub(crate) timed_out: bool,
    /// How long it would have been allowed to take, in milliseconds.
    pub(crate) limit_ms: u64,
    pub(crate) status: Status,
    pub(crate) texts: Texts,
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_lower_case_digits() {
        let id = ActivationId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        let parse = |text: &str| text.parse::<ActivationId>();
        assert_eq!(parse(""), Err(InvalidId::Length(0)));
        assert_eq!(parse(&"a".repeat(33)), Err(InvalidId::Length(33)));
        assert_eq!(parse(&"A".repeat(32)), Err(InvalidId::Digits));
        assert_eq!(parse(&"é".repeat(32)), Err(InvalidId::Digits));
        assert_eq!(parse(&"g".repeat(32)), Err(InvalidId::Digits));
    }
}
