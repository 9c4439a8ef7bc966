//! Paths and methods: what a request is for.

use http::Method;
use percent_encoding::percent_decode_str;

use super::reply::Problem;
use crate::auth::Scope;

/// The path of an action below its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActionPath {
    pub(super) package: Option<String>,
    pub(super) name: String,
}

/// Which part of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    Result,
    Logs,
}

/// What a request asks for. Those with a namespace have it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Info,
    ApiInfo,
    ApiDocs,
    Ping,
    Namespaces,
    Limits(String),
    ListActions(String, Option<String>),
    GetAction(String, ActionPath),
    Invoke(String, ActionPath),
    PutAction(String, ActionPath),
    DeleteAction(String, ActionPath),
    ListActivations(String),
    GetActivation(String, String, Part),
    ListPackages(String),
    GetPackage(String, String),
    PutPackage(String, String),
    DeletePackage(String, String),
    /// Triggers and rules: there are none.
    ListNothing(String, &'static str),
    GetNothing(String, &'static str),
    /// What can be done with them, but not here.
    Later(String, &'static str),
}

/// What a path and a method lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Found(Route),
    /// What a browser asks before it asks.
    Options,
}

impl Route {
    /// For metrics.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Info | Self::ApiInfo | Self::ApiDocs | Self::Ping => "about",
            Self::Namespaces => "list-namespaces",
            Self::Limits(_) => "get-limits",
            Self::ListActions(..) => "list-actions",
            Self::GetAction(..) => "get-action",
            Self::Invoke(..) => "invoke",
            Self::PutAction(..) => "put-action",
            Self::DeleteAction(..) => "delete-action",
            Self::ListActivations(_) => "list-activations",
            Self::GetActivation(..) => "get-activation",
            Self::ListPackages(_) => "list-packages",
            Self::GetPackage(..) => "get-package",
            Self::PutPackage(..) => "put-package",
            Self::DeletePackage(..) => "delete-package",
            Self::ListNothing(..) | Self::GetNothing(..) | Self::Later(..) => "unavailable",
        }
    }

    /// The namespace that it is about, if it says so, and what the client must be allowed to; `None`
    /// if anybody may.
    pub(super) fn needs(&self) -> Option<(Option<&str>, Scope)> {
        match self {
            Self::Info | Self::ApiInfo | Self::ApiDocs | Self::Ping => None,
            Self::Namespaces => Some((None, Scope::Read)),
            Self::Limits(namespace)
            | Self::ListActions(namespace, _)
            | Self::GetAction(namespace, _)
            | Self::ListActivations(namespace)
            | Self::GetActivation(namespace, ..)
            | Self::ListPackages(namespace)
            | Self::GetPackage(namespace, _)
            | Self::ListNothing(namespace, _)
            | Self::GetNothing(namespace, _) => Some((Some(namespace), Scope::Read)),
            Self::Invoke(namespace, _) => Some((Some(namespace), Scope::Invoke)),
            Self::PutAction(namespace, _)
            | Self::DeleteAction(namespace, _)
            | Self::PutPackage(namespace, _)
            | Self::DeletePackage(namespace, _)
            | Self::Later(namespace, _) => Some((Some(namespace), Scope::Write)),
        }
    }
}

/// What a request is for.
///
/// # Errors
/// If there is nothing at `path`, or it does not take `method`.
pub(super) fn find(method: &Method, path: &str) -> Result<Target, Problem> {
    let segments = decoded(path)?;
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let mut routes = routes(&parts).ok_or_else(|| Problem::not_found("path"))?;
    if let ["api", "v1", "namespaces", namespace, "actions", package] = parts[..]
        && path.ends_with('/')
    {
        // A package, whose actions are listed.
        let list = Route::ListActions(namespace.to_owned(), Some(package.to_owned()));
        routes = vec![(Method::GET, list)];
    }
    if method == Method::OPTIONS {
        return Ok(Target::Options);
    }
    let found = routes.iter().find(|(wanted, _)| wanted == method);
    found.map_or_else(
        || {
            let mut allowed: Vec<&str> = routes.iter().map(|(method, _)| method.as_str()).collect();
            allowed.push("OPTIONS");
            Err(Problem::not_allowed(method, &allowed.join(", ")))
        },
        |(_, route)| Ok(Target::Found(route.clone())),
    )
}

/// The segments of a path, without a slash at its end; a slash that is encoded separates, too.
fn decoded(path: &str) -> Result<Vec<String>, Problem> {
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8().map(String::from);
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let text: Result<Vec<String>, _> = trimmed.split('/').map(decode).collect();
    let text = text.map_err(|_| Problem::bad("the path is not UTF-8"))?;
    Ok(text.join("/").split('/').map(str::to_owned).collect())
}

/// What there is at a path, by method.
fn routes(parts: &[&str]) -> Option<Vec<(Method, Route)>> {
    let get = |route| Some(vec![(Method::GET, route)]);
    match *parts {
        [""] => get(Route::Info),
        ["ping"] => get(Route::Ping),
        ["api-docs"] | ["api", "v1", "api-docs"] => get(Route::ApiDocs),
        ["api", "v1"] => get(Route::ApiInfo),
        ["api", "v1", "namespaces"] => get(Route::Namespaces),
        ["api", "v1", "namespaces", namespace, ref rest @ ..] => within(namespace, rest),
        _ => None,
    }
}

fn within(namespace: &str, parts: &[&str]) -> Option<Vec<(Method, Route)>> {
    let ns = || namespace.to_owned();
    let get = |route| Some(vec![(Method::GET, route)]);
    match *parts {
        ["limits"] => get(Route::Limits(ns())),
        ["actions"] => get(Route::ListActions(ns(), None)),
        ["actions", name] => action(&ns(), None, name),
        ["actions", package, name] => action(&ns(), Some(package), name),
        ["activations"] => get(Route::ListActivations(ns())),
        ["activations", id] => get(Route::GetActivation(ns(), id.to_owned(), Part::All)),
        ["activations", id, "result"] => {
            get(Route::GetActivation(ns(), id.to_owned(), Part::Result))
        }
        ["activations", id, "logs"] => get(Route::GetActivation(ns(), id.to_owned(), Part::Logs)),
        ["packages"] => get(Route::ListPackages(ns())),
        ["packages", name] => Some(vec![
            (Method::GET, Route::GetPackage(ns(), name.to_owned())),
            (Method::PUT, Route::PutPackage(ns(), name.to_owned())),
            (Method::DELETE, Route::DeletePackage(ns(), name.to_owned())),
        ]),
        ["triggers"] => get(Route::ListNothing(ns(), "triggers")),
        ["rules"] => get(Route::ListNothing(ns(), "rules")),
        ["triggers", _] => Some(nothing(&ns(), "trigger", "Triggers")),
        ["rules", _] => Some(nothing(&ns(), "rule", "Rules")),
        _ => None,
    }
}

fn action(namespace: &str, package: Option<&str>, name: &str) -> Option<Vec<(Method, Route)>> {
    let ns = || namespace.to_owned();
    let path = ActionPath {
        package: package.map(str::to_owned),
        name: name.to_owned(),
    };
    Some(vec![
        (Method::GET, Route::GetAction(ns(), path.clone())),
        (Method::POST, Route::Invoke(ns(), path.clone())),
        (Method::PUT, Route::PutAction(ns(), path.clone())),
        (Method::DELETE, Route::DeleteAction(ns(), path)),
    ])
}

fn nothing(namespace: &str, one: &'static str, all: &'static str) -> Vec<(Method, Route)> {
    let ns = || namespace.to_owned();
    vec![
        (Method::GET, Route::GetNothing(ns(), one)),
        (Method::DELETE, Route::GetNothing(ns(), one)),
        (Method::PUT, Route::Later(ns(), all)),
        (Method::POST, Route::Later(ns(), all)),
    ]
}

#[cfg(test)]
mod tests;
