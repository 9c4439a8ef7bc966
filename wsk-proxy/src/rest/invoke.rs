//! Invoking actions: blocking or not, with the result alone or the whole record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_transport::Metadata;
use http::{HeaderName, StatusCode};
use hyper::body::Bytes;
use tokio::sync::{oneshot, watch};

use super::body::Arriving;
use super::heard::{self, Heard};
use super::reply::{Problem, Reply};
use super::route::ActionPath;
use super::{Asked, actions, body};
use crate::activation::{Activation, ActivationId, Status};
use crate::ask::Refusal;
use crate::background::NotAccepted;
use crate::json;
use crate::lane::Task;
use crate::names::ActionName;
use crate::record;
use crate::repeats::{Fingerprint, Seen, Ticket, fingerprint};

/// Longest key.
const MAX_KEY: usize = 256;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// How the client wants its answer.
#[derive(Debug, Clone, Copy)]
struct Manner {
    blocking: bool,
    /// The result alone.
    result: bool,
    wait: Duration,
}

pub(super) async fn invoke(
    asked: &Asked<'_>,
    incoming: &mut Arriving,
    path: ActionPath<'_>,
) -> Result<Reply, Problem> {
    let begin = Instant::now();
    let shared = &*asked.lane.shared;
    let action = asked.action(path)?;
    let manner = manner(asked)?;
    let hops = hops(asked)?;
    let place = shared
        .quotas
        .admit(&asked.namespace, asked.identity.allowance);
    let place = place.map_err(|over| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, over.to_string()).after(over.retry_after())
    })?;
    let received = body::read(shared, incoming).await?;
    let parameters = json::parameters(&received.bytes);
    let parameters = parameters.map_err(|error| Problem::bad(&error.to_string()))?;
    let id = ActivationId::random();
    let repeat = match repetition(asked, &action, &received.bytes, id, manner.blocking)? {
        Repetition::None => Repeat::Not,
        Repetition::First(ticket) => Repeat::Promise(ticket),
        Repetition::Request(name, print) => Repeat::Request(name, print),
        Repetition::Again(id, ended) => return again(asked, id, ended, manner).await,
    };
    let task = Task {
        id,
        action,
        written_out: asked.written_out,
        parameters,
        hops,
        metadata: passed_on(asked.heard),
        cause: None,
        promised: false,
    };
    let held = (place, received.room);
    if !manner.blocking {
        return accept(asked, task, held, repeat).await;
    }
    // What has taken no time needs no other look at the clock.
    let now = if received.at_once {
        begin
    } else {
        Instant::now()
    };
    let ended = run(asked, task, held, (now, manner.wait), repeat).await;
    shared.metrics.invoked(begin.elapsed());
    match ended? {
        Some(activation) => Ok(finished(&activation, manner.result)),
        None => Ok(Reply::accepted(id)),
    }
}

/// What is done about a request that may come again, when it has ended.
enum Repeat {
    Not,
    Promise(Ticket),
    Request(String, Fingerprint),
}

/// Runs `task` for as long as the client waits, then in the background; `None` if it goes on there.
async fn run<H: Send + 'static>(
    asked: &Asked<'_>,
    task: Task,
    held: H,
    (now, wait): (Instant, Duration),
    repeat: Repeat,
) -> Result<Option<Arc<Activation>>, Problem> {
    let lane = asked.lane;
    let shared = &*lane.shared;
    let request = match &repeat {
        Repeat::Request(name, print) => Some((name.clone(), *print)),
        _ => None,
    };
    let its_lane = lane.clone();
    let mut running = Box::pin(async move {
        let ended = its_lane.run(&task, now).await;
        if let (Repeat::Promise(ticket), Ok(_)) = (repeat, &ended) {
            ticket.keep();
        }
        (ended, held)
    });
    let ended = if heard::text(asked.heard.idempotency_key).is_some() {
        // Whoever comes again with the key wants to find what the first request did.
        let (tell, told) = oneshot::channel();
        let detached = async move {
            let (ended, held) = running.await;
            drop(held);
            // The client may have left.
            let _gone = tell.send(ended);
        };
        lane.core.spawn(shared.background.track_future(detached));
        match tokio::time::timeout(wait, told).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => {
                return Err(Problem::busy(
                    "The proxy is ending.",
                    Duration::from_secs(1),
                ));
            }
            Err(_) => return Ok(None),
        }
    } else {
        let until = (now + wait).into();
        match lane.timers.within(until, &mut running).await {
            Some((ended, _held)) => ended,
            None => {
                let goes_on = async move { drop(running.await) };
                lane.core.spawn(shared.background.track_future(goes_on));
                return Ok(None);
            }
        }
    };
    match ended {
        Ok(activation) => {
            if let Some((name, print)) = request
                && activation.status != Status::Success
            {
                shared
                    .repeats
                    .failed(&asked.namespace, &name, print, activation.id);
            }
            Ok(Some(activation))
        }
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// Promises to run `task`, if there is such an action as far as is known.
async fn accept<H: Send + 'static>(
    asked: &Asked<'_>,
    task: Task,
    held: H,
    repeat: Repeat,
) -> Result<Reply, Problem> {
    let shared = &asked.lane.shared;
    let plan = shared
        .registry
        .plan(&task.action, task.written_out, &task.parameters);
    plan.map_err(|refusal| refused(&refusal))?;
    if !shared.config.table.endpoints.as_slice().is_empty()
        && actions::known(asked.lane, &task.action, task.written_out).await == Some(false)
    {
        return Err(Problem::not_found("action"));
    }
    let id = task.id;
    let promised = move || {
        if let Repeat::Promise(ticket) = repeat {
            ticket.keep();
        }
    };
    let room = asked.lane.accept(task, held, promised).await;
    room.map_err(|error| match error {
        NotAccepted::Full(_) | NotAccepted::Unwritten => {
            Problem::busy(&error.to_string(), Duration::from_secs(1))
        }
    })?;
    Ok(Reply::accepted(id))
}

/// The answer to a client that has waited for the end.
fn finished(activation: &Activation, result: bool) -> Reply {
    let status = match activation.status {
        Status::Success => StatusCode::OK,
        Status::ApplicationError | Status::DeveloperError => StatusCode::BAD_GATEWAY,
        // It may have been executed: nobody is asked to try again.
        Status::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let json = if result {
        Bytes::copy_from_slice(activation.texts.result().as_bytes())
    } else {
        record::full(activation).into()
    };
    Reply::written(status, json).of(activation.id)
}

fn refused(refusal: &Refusal) -> Problem {
    let text = refusal.to_string();
    let status = match refusal {
        Refusal::NotFound(_) => StatusCode::NOT_FOUND,
        Refusal::Unfit(_) => StatusCode::BAD_REQUEST,
        Refusal::Loop(_) | Refusal::Unreachable(_) | Refusal::Busy { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let problem = Problem::new(status, text);
    match refusal.retry_after() {
        Some(pause) => problem.after(pause),
        None => problem,
    }
}

fn manner(asked: &Asked<'_>) -> Result<Manner, Problem> {
    let query = &asked.query;
    let longest = asked.lane.shared.config.invoke.max_wait;
    let ceiling = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    let wait = match query.number("timeout")? {
        None => longest,
        Some(ms) if (1..=ceiling).contains(&ms) => Duration::from_millis(ms),
        Some(_) => {
            let text = format!("the query parameter `timeout` must be from 1 to {ceiling}");
            return Err(Problem::bad(&text));
        }
    };
    Ok(Manner {
        blocking: query.flag("blocking", false)?,
        result: query.flag("result", false)?,
        wait,
    })
}

/// How many nodes the request has passed, this one included.
fn hops(asked: &Asked<'_>) -> Result<u32, Problem> {
    let Some(text) = heard::text(asked.heard.hops) else {
        return Ok(0);
    };
    let before: u32 = text
        .parse()
        .map_err(|_| Problem::bad("the header x-soe-hops must be a whole number from 0"))?;
    let hops = before.saturating_add(1);
    if hops > asked.lane.shared.config.invoke.max_hops {
        // Tells whoever called in the name of a computer that it is the call that is at fault.
        return Err(refused(&Refusal::Loop(hops)).gone_round(hops));
    }
    Ok(hops)
}

/// What of a client's headers travels on, so that traces stay together.
fn passed_on(heard: &Heard<'_>) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in [
        (&TRACEPARENT, heard.traceparent),
        (&TRACESTATE, heard.tracestate),
    ] {
        if let Some(value) = value {
            metadata.insert(name, value);
        }
    }
    metadata
}

/// Whether a request has come before.
enum Repetition {
    None,
    First(Ticket),
    Request(String, Fingerprint),
    /// With the id of what it did then; it may not have ended.
    Again(ActivationId, Option<watch::Receiver<bool>>),
}

fn repetition(
    asked: &Asked<'_>,
    action: &ActionName,
    body: &[u8],
    id: ActivationId,
    blocking: bool,
) -> Result<Repetition, Problem> {
    let repeats = &asked.lane.shared.repeats;
    if let Some(key) = asked.heard.idempotency_key {
        let Ok(key) = key.to_str() else {
            return Err(Problem::bad("the Idempotency-Key must be ASCII"));
        };
        if key.is_empty() || key.len() > MAX_KEY {
            let text = format!("the Idempotency-Key must have 1 to {MAX_KEY} characters");
            return Err(Problem::bad(&text));
        }
        let print = fingerprint(action.full(), body);
        return match repeats.promise(&asked.namespace, key, print, id) {
            Seen::New(ticket) => Ok(Repetition::First(ticket)),
            Seen::Before(id, ended) => Ok(Repetition::Again(id, Some(ended))),
            Seen::Misused => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key belongs to another request.",
            )),
        };
    }
    let Some(name) = heard::text(asked.heard.request_id).filter(|_| blocking) else {
        // Who does not wait has not been told of a failure.
        return Ok(Repetition::None);
    };
    if name.len() > super::MAX_REQUEST_ID {
        return Ok(Repetition::None);
    }
    let print = fingerprint(action.full(), body);
    Ok(match repeats.failure(&asked.namespace, name, print) {
        Some(id) => Repetition::Again(id, None),
        None => Repetition::Request(name.to_owned(), print),
    })
}

/// Answers a request with what the one before it did.
async fn again(
    asked: &Asked<'_>,
    id: ActivationId,
    ended: Option<watch::Receiver<bool>>,
    manner: Manner,
) -> Result<Reply, Problem> {
    let shared = &asked.lane.shared;
    shared.metrics.repeated();
    if let Some(mut ended) = ended {
        let end = tokio::time::timeout(manner.wait, ended.wait_for(|ended| *ended)).await;
        if let Ok(Err(_)) = end {
            let text = "The first request with this key was not executed; try again.";
            return Err(Problem::busy(text, Duration::from_secs(1)));
        }
    }
    // Before this the first one may still be refused, and its id stand for nothing.
    if !manner.blocking {
        return Ok(Reply::accepted(id));
    }
    match shared.archive.store.get(&asked.namespace, id) {
        Some(activation) => Ok(finished(&activation, manner.result)),
        None => Ok(Reply::accepted(id)),
    }
}
