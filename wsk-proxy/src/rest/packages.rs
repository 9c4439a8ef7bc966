//! Packages: folders of actions, with parameters for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::actions::{self, check_name};
use super::body::Arriving;
use super::register::{post, read, traits, written};
use super::reply::{Problem, Reply};
use super::{Asked, list};
use crate::activation::VERSION;
use crate::entity::KeyValue;
use crate::journal::Line;
use crate::names::ActionName;
use crate::registry::{RegistryError, Traits};
use crate::shared::Shared;

/// The name of the package that everything without one is in.
const RESERVED: &str = "default";

#[derive(Debug, Serialize)]
struct View {
    namespace: String,
    name: String,
    version: String,
    publish: bool,
    updated: u64,
    annotations: Vec<KeyValue>,
    binding: BTreeMap<String, String>,
    #[serde(flatten)]
    content: Option<Content>,
}

/// What only a single package shows.
#[derive(Debug, Serialize)]
struct Content {
    parameters: Vec<KeyValue>,
    actions: Vec<Row>,
    feeds: [(); 0],
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    version: &'static str,
    annotations: [(); 0],
    parameters: [(); 0],
}

/// What a client sends to register a package.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    binding: Option<Box<RawValue>>,
    publish: Option<bool>,
    annotations: Option<Vec<KeyValue>>,
    parameters: Option<Vec<KeyValue>>,
}

pub(super) fn list(asked: &Asked<'_>) -> Result<Reply, Problem> {
    let all = all(&asked.lane.shared, &asked.namespace);
    let rows: Vec<_> = all.into_iter().collect();
    list::page(asked, "packages", rows, |(name, (traits, actions))| View {
        content: None,
        ..view(&asked.namespace, &name, traits.as_deref(), &actions)
    })
}

pub(super) fn get(asked: &Asked<'_>, name: &str) -> Result<Reply, Problem> {
    check_name(name)?;
    let found = all(&asked.lane.shared, &asked.namespace).remove(name);
    let (traits, actions) = found.ok_or_else(|| Problem::not_found("package"))?;
    let view = view(&asked.namespace, name, traits.as_deref(), &actions);
    Ok(Reply::json(StatusCode::OK, &view))
}

pub(super) async fn put(
    asked: &Asked<'_>,
    incoming: &mut Arriving,
    name: &str,
) -> Result<Reply, Problem> {
    check_name(name)?;
    if name == RESERVED {
        return Err(Problem::bad("the name `default` is reserved"));
    }
    let shared = &asked.lane.shared;
    let overwrite = asked.query.flag("overwrite", false)?;
    let wanted: Wanted = read(asked, incoming).await?;
    if wanted
        .binding
        .is_some_and(|binding| !matches!(binding.get(), "{}" | "null"))
    {
        return Err(Problem::not_implemented(
            "Bindings of packages are not available in this version; packages with parameters are.",
        ));
    }
    let full = full(&asked.namespace, name);
    let mut receipt = None;
    let put = shared.registry.put_package(
        &asked.namespace,
        &full,
        shared.config.most_registered(),
        |before| {
            if before.is_some() && !overwrite {
                return Err(Problem::from(RegistryError::Exists));
            }
            Ok(traits(
                before,
                wanted.publish,
                wanted.annotations,
                wanted.parameters,
            ))
        },
        |made| {
            receipt = post(asked, || Line::Package(full.clone(), made.clone().into()))?;
            Ok(())
        },
    )?;
    written(receipt).await?;
    let view = view(&asked.namespace, name, Some(&put), &[]);
    Ok(Reply::json(StatusCode::OK, &view))
}

pub(super) async fn delete(asked: &Asked<'_>, name: &str) -> Result<Reply, Problem> {
    check_name(name)?;
    let shared = &asked.lane.shared;
    let force = asked.query.flag("force", false)?;
    let full = full(&asked.namespace, name);
    if shared.registry.package(&full).is_none() {
        return Err(Problem::not_found("registered package"));
    }
    let registered = shared.registry.actions(&asked.namespace);
    let within = registered
        .iter()
        .filter(|(action, _)| action.package() == Some(name));
    let within: Vec<&ActionName> = within.map(|(action, _)| action).collect();
    if !within.is_empty() && !force {
        let text = format!(
            "The package is not empty: {} actions are in it.",
            within.len()
        );
        return Err(Problem::new(StatusCode::CONFLICT, text));
    }
    let mut receipts = Vec::new();
    for action in within {
        shared.registry.delete_action(action.full(), || {
            receipts.push(post(asked, || Line::ActionGone(action.clone()))?);
            Ok::<_, Problem>(())
        })?;
    }
    let gone = shared.registry.delete_package(&full, || {
        receipts.push(post(asked, || Line::PackageGone(full.clone()))?);
        Ok::<_, Problem>(())
    })?;
    for receipt in receipts {
        written(receipt).await?;
    }
    let gone = gone.ok_or_else(|| Problem::not_found("registered package"))?;
    let view = view(&asked.namespace, name, Some(&gone), &[]);
    Ok(Reply::json(StatusCode::OK, &view))
}

/// Whether there is a package of this name, registered or because something is in it.
pub(super) fn exists(shared: &Shared, namespace: &str, name: &str) -> bool {
    shared.registry.package(&full(namespace, name)).is_some()
        || actions::all(shared, namespace)
            .keys()
            .any(|action| action.package() == Some(name))
}

type Packages = BTreeMap<String, (Option<Arc<Traits>>, Vec<(ActionName, u64)>)>;

/// All packages of a namespace, and what is in them and when it was last changed.
fn all(shared: &Shared, namespace: &str) -> Packages {
    let mut all = Packages::new();
    for (name, traits) in shared.registry.packages(namespace) {
        all.insert(name, (Some(traits), Vec::new()));
    }
    for (action, what) in actions::all(shared, namespace) {
        if let Some(package) = action.package() {
            let (_, within) = all.entry(package.to_owned()).or_default();
            within.push((action, what.updated_ms()));
        }
    }
    all
}

fn view(
    namespace: &str,
    name: &str,
    traits: Option<&Traits>,
    actions: &[(ActionName, u64)],
) -> View {
    let row = |(action, _): &(ActionName, u64)| Row {
        name: action.name().to_owned(),
        version: VERSION,
        annotations: [],
        parameters: [],
    };
    let newest = actions.iter().map(|(_, updated)| *updated).max();
    View {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        version: traits.map_or_else(|| VERSION.to_owned(), Traits::version),
        publish: traits.is_some_and(|traits| traits.publish),
        updated: traits
            .map(|traits| traits.updated_ms)
            .or(newest)
            .unwrap_or_default(),
        annotations: traits
            .map(|traits| traits.annotations.clone())
            .unwrap_or_default(),
        binding: BTreeMap::new(),
        content: Some(Content {
            parameters: traits
                .map(|traits| traits.parameters.clone())
                .unwrap_or_default(),
            actions: actions.iter().map(row).collect(),
            feeds: [],
        }),
    }
}

fn full(namespace: &str, name: &str) -> String {
    format!("/{namespace}/{name}")
}
