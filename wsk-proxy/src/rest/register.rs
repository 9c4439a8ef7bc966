//! Registering actions: sequences, and other names for lambdas. Code is not taken.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::actions::{self, ALIAS, SEQUENCE, What, of_registered};
use super::body::Arriving;
use super::reply::{Problem, Reply};
use super::route::ActionPath;
use super::{Asked, body, packages};
use crate::activation::now_ms;
use crate::entity::KeyValue;
use crate::journal::{Line, Receipt, Unwritten};
use crate::names::ActionName;
use crate::registry::{Body, Registered, RegistryError, Traits};

/// What a client sends to register an action. What it says beyond that has no meaning here.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    exec: Option<Exec>,
    publish: Option<bool>,
    annotations: Option<Vec<KeyValue>>,
    parameters: Option<Vec<KeyValue>>,
}

#[derive(Debug, Deserialize)]
struct Exec {
    kind: Option<String>,
    code: Option<String>,
    components: Option<Vec<String>>,
}

pub(super) async fn put_action(
    asked: &Asked<'_>,
    incoming: &mut Arriving,
    path: ActionPath<'_>,
) -> Result<Reply, Problem> {
    let shared = &asked.lane.shared;
    let name = asked.action(path)?;
    let overwrite = asked.query.flag("overwrite", false)?;
    let wanted: Wanted = read(asked, incoming).await?;
    if let Some(package) = name.package()
        && !packages::exists(shared, &asked.namespace, package)
    {
        return Err(Problem::not_found("package"));
    }
    let made_of = match &wanted.exec {
        Some(exec) => Some(body_of(asked, exec)?),
        None => None,
    };
    if let Some(body) = &made_of
        && shared.registry.goes_in_circles(&name, body)
    {
        return Err(Problem::bad("the action would lead back to itself"));
    }
    let mut receipt = None;
    let put = shared.registry.put_action(
        &name,
        shared.config.most_registered(),
        |before| {
            let body = match (made_of, before) {
                (_, Some(_)) if !overwrite => return Err(RegistryError::Exists.into()),
                (Some(body), _) => body,
                (None, Some(before)) => before.body.clone(),
                (None, None) => return Err(Problem::bad("exec undefined")),
            };
            let traits = traits(
                before.map(|before| &before.traits),
                wanted.publish,
                wanted.annotations,
                wanted.parameters,
            );
            Ok(Registered { traits, body })
        },
        |made| {
            receipt = post(asked, || Line::Action(name.clone(), made.clone().into()))?;
            Ok(())
        },
    )?;
    written(receipt).await?;
    let view = of_registered(shared, &name, &put, true);
    Ok(Reply::json(StatusCode::OK, &view))
}

pub(super) async fn delete_action(
    asked: &Asked<'_>,
    path: ActionPath<'_>,
) -> Result<Reply, Problem> {
    let shared = &asked.lane.shared;
    let name = asked.action(path)?;
    let mut receipt = None;
    let gone = shared.registry.delete_action(name.full(), || {
        receipt = post(asked, || Line::ActionGone(name.clone()))?;
        Ok::<_, Problem>(())
    })?;
    written(receipt).await?;
    if let Some(gone) = gone {
        return Ok(Reply::json(
            StatusCode::OK,
            &of_registered(shared, &name, &gone, true),
        ));
    }
    match actions::find(asked.lane, &name, asked.written_out).await {
        Some(What::Served(lambda, _)) => {
            let text = format!("The lambda {lambda} is there as long as computers serve it.");
            Err(Problem::new(StatusCode::CONFLICT, text))
        }
        _ => Err(Problem::not_found("action")),
    }
}

/// Reads a JSON document; nothing stands for one that says nothing.
pub(super) async fn read<T: Default + for<'de> Deserialize<'de>>(
    asked: &Asked<'_>,
    incoming: &mut Arriving,
) -> Result<T, Problem> {
    let received = body::read(&asked.lane.shared, incoming).await?;
    if received.bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let document = serde_json::from_slice(&received.bytes);
    document.map_err(|error| Problem::bad(&format!("the request body is malformed: {error}")))
}

/// What is registered, with what there was before where nothing is said.
pub(super) fn traits(
    before: Option<&Traits>,
    publish: Option<bool>,
    annotations: Option<Vec<KeyValue>>,
    parameters: Option<Vec<KeyValue>>,
) -> Traits {
    Traits {
        patch: before.map_or(1, |before| before.patch.saturating_add(1)),
        updated_ms: now_ms(),
        publish: publish
            .or(before.map(|before| before.publish))
            .unwrap_or(false),
        annotations: annotations
            .or_else(|| before.map(|before| before.annotations.clone()))
            .unwrap_or_default(),
        parameters: parameters
            .or_else(|| before.map(|before| before.parameters.clone()))
            .unwrap_or_default(),
    }
}

fn body_of(asked: &Asked<'_>, exec: &Exec) -> Result<Body, Problem> {
    match exec.kind.as_deref() {
        None | Some("") => Err(Problem::bad("exec.kind undefined")),
        Some(SEQUENCE) => {
            let most = asked.lane.shared.config.invoke.max_steps;
            let steps = exec.components.as_deref().unwrap_or_default();
            if steps.is_empty() || steps.len() > most {
                let text = format!("exec.components must name 1 to {most} actions");
                return Err(Problem::bad(&text));
            }
            let steps: Result<_, _> = steps.iter().map(|step| own(asked, step)).collect();
            Ok(Body::Sequence(steps?))
        }
        Some(ALIAS) => {
            let Some(written) = exec.code.as_deref() else {
                return Err(Problem::bad("exec.code must name a lambda or an action"));
            };
            Ok(Body::Alias {
                target: own(asked, written)?,
                written: written.to_owned(),
            })
        }
        Some(kind) => Err(Problem::not_implemented(&format!(
            "Code of kind {kind} is not run here: lambdas are deployed on edge computers. A {SEQUENCE}, \
             or another name for a lambda (kind {ALIAS}), can be registered."
        ))),
    }
}

/// The action of this name, if it is of the namespace.
fn own(asked: &Asked<'_>, text: &str) -> Result<ActionName, Problem> {
    let name = ActionName::parse(text, &asked.namespace);
    let name = name.map_err(|error| Problem::bad(&format!("{text:?}: {error}")))?;
    if name.namespace() != &*asked.namespace {
        let text = "Actions of other namespaces cannot be used.";
        return Err(Problem::forbidden(text));
    }
    Ok(name)
}

/// Hands a line to the journal, if there is one.
pub(super) fn post(
    asked: &Asked<'_>,
    line: impl FnOnce() -> Line,
) -> Result<Option<Receipt>, Problem> {
    let journal = asked.lane.shared.archive.journal.as_ref();
    let receipt = journal.map(|journal| journal.post(&line())).transpose();
    receipt.map_err(unwritten)
}

/// Waits until a line is written.
pub(super) async fn written(receipt: Option<Receipt>) -> Result<(), Problem> {
    match receipt {
        Some(receipt) => receipt.written().await.map_err(unwritten),
        None => Ok(()),
    }
}

fn unwritten(error: Unwritten) -> Problem {
    Problem::busy(
        &format!("The change would not last: {error}."),
        Duration::from_secs(1),
    )
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let status = match error {
            RegistryError::Exists => StatusCode::CONFLICT,
            RegistryError::Full(_) | RegistryError::Large(_) => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, error.to_string())
    }
}
