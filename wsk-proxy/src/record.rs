//! Activations as clients get to see them: in full, in brief, or a part. They are JSON.

use crate::activation::{Activation, Kind, VERSION};
use crate::entity::Limits;
use crate::json::Writer;

/// Bytes of a record without texts and steps, about, and a little more.
pub(crate) const AROUND: usize = 704;

/// All of an activation.
pub(crate) fn full(activation: &Activation) -> Vec<u8> {
    let mut out = Writer::with_capacity(room(activation));
    write_full(&mut out, activation);
    out.into_bytes()
}

/// A line of a list of each.
pub(crate) fn brief_list<'a>(activations: impl IntoIterator<Item = &'a Activation>) -> Vec<u8> {
    let mut out = Writer::with_capacity(AROUND);
    out.raw("[");
    for (at, activation) in activations.into_iter().enumerate() {
        if at > 0 {
            out.raw(",");
        }
        write_head(&mut out, activation);
        out.raw("}");
    }
    out.raw("]");
    out.into_bytes()
}

/// What came of it.
pub(crate) fn response(activation: &Activation) -> Vec<u8> {
    let mut out = Writer::with_capacity(room(activation));
    write_response(&mut out, activation);
    out.into_bytes()
}

/// What it wrote.
pub(crate) fn logs(activation: &Activation) -> Vec<u8> {
    let mut out = Writer::with_capacity(room(activation));
    out.raw("{\"logs\":");
    write_logs(&mut out, activation);
    out.raw("}");
    out.into_bytes()
}

fn room(activation: &Activation) -> usize {
    let names = 2 * activation.action.full().len();
    AROUND + names + activation.texts.len() + 40 * activation.steps.len()
}

pub(crate) fn write_full(out: &mut Writer, activation: &Activation) {
    write_head(out, activation);
    out.raw(",\"subject\":");
    out.plain(activation.action.namespace());
    out.raw(",\"logs\":");
    write_logs(out, activation);
    out.raw(",\"response\":");
    write_response(out, activation);
    out.raw("}");
}

/// Up to the brace that closes it. Names of actions have no characters that must be escaped.
fn write_head(out: &mut Writer, activation: &Activation) {
    let action = &activation.action;
    out.raw("{\"namespace\":");
    out.plain(action.namespace());
    out.raw(",\"name\":");
    out.plain(action.name());
    out.raw(",\"version\":");
    out.plain(VERSION);
    out.raw(",\"publish\":false,\"activationId\":");
    out.plain(activation.id.digits().as_str());
    out.raw(",\"start\":");
    out.number(activation.start_ms);
    out.raw(",\"end\":");
    out.number(activation.end_ms);
    out.raw(",\"duration\":");
    out.number(activation.end_ms.saturating_sub(activation.start_ms));
    out.raw(",\"statusCode\":");
    out.number(activation.status.code());
    if let Some(cause) = activation.cause {
        out.raw(",\"cause\":");
        out.plain(cause.digits().as_str());
    }
    out.raw(",\"annotations\":[");
    write_annotations(out, activation);
    out.raw("]");
}

fn write_annotations(out: &mut Writer, activation: &Activation) {
    let limits = Limits::of_actions(activation.limit_ms);
    out.raw("{\"key\":\"path\",\"value\":");
    out.plain(&activation.action.full()[1..]);
    out.raw("},{\"key\":\"kind\",\"value\":");
    out.plain(activation.kind.text());
    out.raw("},{\"key\":\"limits\",\"value\":");
    limits.write(out);
    out.raw("},{\"key\":\"timeout\",\"value\":");
    out.flag(activation.timed_out);
    if activation.kind == Kind::Sequence {
        out.raw("},{\"key\":\"topmost\",\"value\":");
        out.flag(activation.cause.is_none());
    } else {
        write_trail(out, activation);
    }
    if activation.cause.is_some() {
        out.raw("},{\"key\":\"causedBy\",\"value\":\"sequence\"");
    }
    out.raw("}");
}

/// How a lambda was executed, from the brace that closes what is before it.
fn write_trail(out: &mut Writer, activation: &Activation) {
    let (trail, texts) = (&activation.trail, &activation.texts);
    let [load1, load10, load30] = trail.loads;
    out.raw("},{\"key\":\"waitTime\",\"value\":");
    out.number(trail.wait_ms);
    if trail.init_ms > 0 {
        out.raw("},{\"key\":\"initTime\",\"value\":");
        out.number(trail.init_ms);
    }
    out.raw("},{\"key\":\"soe.lambda\",\"value\":");
    out.text(texts.lambda());
    out.raw("},{\"key\":\"soe.responder\",\"value\":");
    out.text(texts.responder());
    out.raw("},{\"key\":\"soe.hops\",\"value\":");
    out.number(trail.hops);
    out.raw("},{\"key\":\"soe.load1\",\"value\":");
    out.number(load1);
    out.raw("},{\"key\":\"soe.load10\",\"value\":");
    out.number(load10);
    out.raw("},{\"key\":\"soe.load30\",\"value\":");
    out.number(load30);
}

/// Those of a sequence are the ids of its steps, as in OpenWhisk; lambdas have none.
fn write_logs(out: &mut Writer, activation: &Activation) {
    out.raw("[");
    for (at, step) in activation.steps.iter().enumerate() {
        if at > 0 {
            out.raw(",");
        }
        out.plain(step.digits().as_str());
    }
    out.raw("]");
}

fn write_response(out: &mut Writer, activation: &Activation) {
    let result = activation.texts.result();
    out.raw("{\"status\":");
    out.plain(activation.status.text());
    out.raw(",\"success\":");
    out.flag(activation.status.code() == 0);
    out.raw(",\"size\":");
    out.number(result.len() as u64);
    out.raw(",\"result\":");
    out.raw(result);
    out.raw("}");
}

#[cfg(test)]
mod tests;
