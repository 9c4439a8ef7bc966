//! Activations as clients get to see them: in full, in brief, or a part.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::activation::{Activation, ActivationId, Kind, VERSION};
use crate::entity::{Annotation, Limits};

/// As many as one has at the most.
const MAX_ANNOTATIONS: usize = 13;

/// All of an activation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Full<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    subject: &'a str,
    logs: Vec<String>,
    response: Response<'a>,
}

/// A line of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Brief<'a> {
    #[serde(flatten)]
    head: Head<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    namespace: &'a str,
    name: &'a str,
    version: &'static str,
    publish: bool,
    activation_id: ActivationId,
    start: u64,
    end: u64,
    duration: u64,
    status_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<ActivationId>,
    annotations: Vec<Annotation<'a>>,
}

/// What came of it.
#[derive(Serialize)]
pub(crate) struct Response<'a> {
    status: &'static str,
    success: bool,
    size: usize,
    result: &'a RawValue,
}

/// What it wrote.
#[derive(Serialize)]
pub(crate) struct Logs {
    logs: Vec<String>,
}

pub(crate) fn full(activation: &Activation) -> Full<'_> {
    Full {
        head: head(activation),
        subject: activation.action.namespace(),
        logs: logs(activation).logs,
        response: response(activation),
    }
}

pub(crate) fn brief(activation: &Activation) -> Brief<'_> {
    let head = head(activation);
    Brief { head }
}

pub(crate) fn response(activation: &Activation) -> Response<'_> {
    Response {
        status: activation.status.text(),
        success: activation.status.code() == 0,
        size: activation.result.get().len(),
        result: &activation.result,
    }
}

/// Those of a sequence are the ids of its steps, as in OpenWhisk; lambdas have none.
pub(crate) fn logs(activation: &Activation) -> Logs {
    let logs = activation.steps.iter().map(ToString::to_string).collect();
    Logs { logs }
}

fn head(activation: &Activation) -> Head<'_> {
    Head {
        namespace: activation.action.namespace(),
        name: activation.action.name(),
        version: VERSION,
        publish: false,
        activation_id: activation.id,
        start: activation.start_ms,
        end: activation.end_ms,
        duration: activation.end_ms.saturating_sub(activation.start_ms),
        status_code: activation.status.code(),
        cause: activation.cause,
        annotations: annotations(activation),
    }
}

fn annotations(activation: &Activation) -> Vec<Annotation<'_>> {
    let trail = &activation.trail;
    let mut all = Vec::with_capacity(MAX_ANNOTATIONS);
    all.extend([
        Annotation::text("path", &activation.action.full()[1..]),
        Annotation::text("kind", activation.kind.text()),
        Annotation::limits("limits", Limits::of_actions(activation.limit_ms)),
        Annotation::flag("timeout", activation.timed_out),
    ]);
    if activation.kind == Kind::Sequence {
        all.push(Annotation::flag("topmost", activation.cause.is_none()));
    } else {
        all.push(Annotation::number("waitTime", trail.wait_ms));
        if trail.init_ms > 0 {
            all.push(Annotation::number("initTime", trail.init_ms));
        }
        let [load1, load10, load30] = trail.loads;
        all.extend([
            Annotation::text("soe.lambda", &trail.lambda),
            Annotation::text("soe.responder", &trail.responder),
            Annotation::number("soe.hops", trail.hops),
            Annotation::number("soe.load1", load1),
            Annotation::number("soe.load10", load10),
            Annotation::number("soe.load30", load30),
        ]);
    }
    if activation.cause.is_some() {
        all.push(Annotation::text("causedBy", "sequence"));
    }
    all
}
