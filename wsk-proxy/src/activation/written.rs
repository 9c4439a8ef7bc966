//! An activation as it is written down.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Activation, ActivationId, Kind, Status, Texts, Trail};
use crate::names::ActionName;

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    id: ActivationId,
    action: Cow<'a, ActionName>,
    kind: Kind,
    start_ms: u64,
    end_ms: u64,
    cause: Option<ActivationId>,
    steps: Cow<'a, [ActivationId]>,
    #[serde(borrow)]
    trail: WrittenTrail<'a>,
    timed_out: bool,
    limit_ms: u64,
    status: Status,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct WrittenTrail<'a> {
    #[serde(borrow)]
    lambda: Cow<'a, str>,
    #[serde(borrow)]
    responder: Cow<'a, str>,
    hops: u32,
    loads: [u32; 3],
    wait_ms: u64,
    init_ms: u64,
}

impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let result = serde_json::from_str(self.texts.result());
        let trail = WrittenTrail {
            lambda: self.texts.lambda().into(),
            responder: self.texts.responder().into(),
            hops: self.trail.hops,
            loads: self.trail.loads,
            wait_ms: self.trail.wait_ms,
            init_ms: self.trail.init_ms,
        };
        let written = Written {
            id: self.id,
            action: Cow::Borrowed(&self.action),
            kind: self.kind,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            cause: self.cause,
            steps: self.steps.as_slice().into(),
            trail,
            timed_out: self.timed_out,
            limit_ms: self.limit_ms,
            status: self.status,
            result: result.map_err(serde::ser::Error::custom)?,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let trail = &written.trail;
        Ok(Self {
            id: written.id,
            action: written.action.into_owned(),
            kind: written.kind,
            start_ms: written.start_ms,
            end_ms: written.end_ms,
            cause: written.cause,
            steps: written.steps.into_owned(),
            texts: Texts::new(&trail.lambda, &trail.responder, written.result.get()),
            trail: Trail {
                hops: trail.hops,
                loads: trail.loads,
                wait_ms: trail.wait_ms,
                init_ms: trail.init_ms,
            },
            timed_out: written.timed_out,
            limit_ms: written.limit_ms,
            status: written.status,
        })
    }
}
