//! Actions as clients see them: lambdas that somebody serves, and what was registered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use super::Asked;
use super::list;
use super::reply::{Problem, Reply};
use super::route::ActionPath;
use crate::activation::VERSION;
use crate::entity::{KeyValue, Limits};
use crate::lane::Lane;
use crate::names::{self, ActionName, Candidates};
use crate::plan::Plan;
use crate::registry::{Body, Registered};
use crate::shared::Shared;
use crate::table::{Reading, Served};

/// The kind of an action that stands for another one, or for a lambda.
pub(super) const ALIAS: &str = "soe:lambda";
/// The kind of a sequence.
pub(super) const SEQUENCE: &str = "sequence";
/// The kind as which OpenWhisk's clients know programs that they cannot look into.
const BLACKBOX: &str = "blackbox";
/// What stands where they expect an image.
const IMAGE: &str = "soe/lambda";

/// How long a question waits for the tables to be read once more.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// An action, in a list without what it is made of.
#[derive(Debug, Serialize)]
pub(super) struct View {
    namespace: String,
    name: String,
    version: String,
    publish: bool,
    updated: u64,
    annotations: Vec<KeyValue>,
    limits: Limits,
    exec: Exec,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Vec<KeyValue>>,
}

#[derive(Debug, Default, Serialize)]
struct Exec {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<String>>,
    binary: bool,
}

pub(super) fn list(asked: &Asked<'_>, package: Option<&str>) -> Result<Reply, Problem> {
    package.map_or(Ok(()), check_name)?;
    let all = all(&asked.lane.shared, &asked.namespace);
    let of_it = |name: &ActionName| package.is_none_or(|wanted| name.package() == Some(wanted));
    let rows = all.into_iter().filter(|(name, _)| of_it(name)).collect();
    list::page(asked, "actions", rows, |(name, what): (_, What)| {
        what.summary(asked, &name)
    })
}

pub(super) async fn get(asked: &Asked<'_>, path: ActionPath<'_>) -> Result<Reply, Problem> {
    let action = asked.action(path)?;
    let with_code = asked.query.flag("code", true)?;
    let found = find(asked.lane, &action, asked.written_out).await;
    let found = found.ok_or_else(|| Problem::not_found("action"))?;
    Ok(Reply::json(
        StatusCode::OK,
        &found.details(asked, &action, with_code),
    ))
}

/// What stands behind the name of an action.
#[derive(Debug)]
pub(super) enum What {
    Registered(Arc<Registered>),
    Served(String, Served),
}

/// All actions of `namespace`, by name.
pub(super) fn all(shared: &Shared, namespace: &str) -> BTreeMap<ActionName, What> {
    let table = shared.table.now();
    let served = table.lambdas.iter().filter_map(|(lambda, served)| {
        let action = shared.naming.action(namespace, lambda)?;
        Some((action, What::Served(lambda.to_string(), *served)))
    });
    let mut all: BTreeMap<_, _> = served.collect();
    let registered = shared.registry.actions(namespace).into_iter();
    all.extend(registered.map(|(name, registered)| (name, What::Registered(registered))));
    all
}

/// What stands behind `action`; the tables are read once more before it is said that there is nothing.
pub(super) async fn find(lane: &Lane, action: &ActionName, written_out: bool) -> Option<What> {
    let shared = &lane.shared;
    if let Some(registered) = shared.registry.action(action.full()) {
        return Some(What::Registered(registered));
    }
    let look = |table: &Reading| served(shared, action, written_out, table);
    let found = look(&shared.table.now());
    if found.is_none() && !shared.config.table.endpoints.as_slice().is_empty() {
        shared
            .table
            .ask(READ_WITHIN, |table| look(table).is_some())
            .await;
        return look(&shared.table.now());
    }
    found
}

fn served(
    shared: &Shared,
    action: &ActionName,
    written_out: bool,
    table: &Reading,
) -> Option<What> {
    let serves = |lambda: &str| table.serves(lambda);
    let Candidates(first, second) = shared.naming.lambdas(action, written_out, serves);
    let found = |lambda: &str| {
        let served = table.lambdas.get(lambda)?;
        Some(What::Served(lambda.to_owned(), *served))
    };
    found(first).or_else(|| second.and_then(found))
}

/// Whether `action` can be invoked, as far as the tables tell; `None` if they cannot be read. That
/// of a sequence nobody can tell before its steps.
pub(super) async fn known(lane: &Lane, action: &ActionName, written_out: bool) -> Option<bool> {
    let shared = &lane.shared;
    match shared.registry.plan(action, written_out, "{}") {
        Ok(Plan::Lambda {
            action,
            written_out,
            ..
        }) => {
            let look = |table: &Reading| served(shared, &action, written_out, table).is_some();
            if look(&shared.table.now()) {
                return Some(true);
            }
            shared.table.ask(READ_WITHIN, look).await
        }
        _ => Some(true),
    }
}

impl What {
    fn summary(&self, asked: &Asked<'_>, name: &ActionName) -> View {
        let mut view = self.details(asked, name, false);
        view.parameters = None;
        view.exec = Exec::default();
        view
    }

    fn details(&self, asked: &Asked<'_>, name: &ActionName, with_code: bool) -> View {
        match self {
            Self::Registered(registered) => {
                of_registered(&asked.lane.shared, name, registered, with_code)
            }
            Self::Served(lambda, served) => of_lambda(&asked.lane.shared, name, lambda, *served),
        }
    }

    /// When it was changed or first seen, in milliseconds since 1970.
    pub(super) fn updated_ms(&self) -> u64 {
        match self {
            Self::Registered(registered) => registered.traits.updated_ms,
            Self::Served(_, served) => served.since_ms,
        }
    }
}

/// A registered action in full.
pub(super) fn of_registered(
    shared: &Shared,
    name: &ActionName,
    registered: &Registered,
    with_code: bool,
) -> View {
    let traits = &registered.traits;
    let (kind, code, components) = match &registered.body {
        Body::Sequence(steps) => {
            let steps = steps.iter().map(ToString::to_string).collect();
            (SEQUENCE, None, Some(steps))
        }
        Body::Alias { written, .. } => (ALIAS, with_code.then(|| written.clone()), None),
    };
    let mut annotations = traits.annotations.clone();
    annotations.retain(|pair| pair.key != "exec");
    annotations.push(KeyValue::text("exec", kind));
    View {
        namespace: name.folder().to_owned(),
        name: name.name().to_owned(),
        version: traits.version(),
        publish: traits.publish,
        updated: traits.updated_ms,
        annotations,
        limits: limits(shared),
        exec: Exec {
            kind: Some(kind),
            code,
            components,
            ..Exec::default()
        },
        parameters: Some(traits.parameters.clone()),
    }
}

fn of_lambda(shared: &Shared, name: &ActionName, lambda: &str, served: Served) -> View {
    let annotations = vec![
        KeyValue::text("exec", BLACKBOX),
        KeyValue::flag("provide-api-key", false),
        KeyValue::text("description", "A lambda that edge computers serve."),
        KeyValue::text("soe.lambda", lambda),
        KeyValue::text("soe.destinations", &served.destinations.to_string()),
    ];
    View {
        namespace: name.folder().to_owned(),
        name: name.name().to_owned(),
        version: VERSION.to_owned(),
        publish: false,
        updated: served.since_ms,
        annotations,
        limits: limits(shared),
        exec: Exec {
            kind: Some(BLACKBOX),
            image: Some(IMAGE),
            ..Exec::default()
        },
        parameters: Some(Vec::new()),
    }
}

fn limits(shared: &Shared) -> Limits {
    let timeout = shared.config.invoke.action_timeout.as_millis();
    Limits::of_actions(u64::try_from(timeout).unwrap_or(u64::MAX))
}

/// Whether a text can be the name of a package or an action.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    names::check(name).map_err(|error| Problem::bad(&error.to_string()))
}
