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

/// Segments of the longest path that there is.
const MAX_PARTS: usize = 8;

/// What a request is for.
///
/// # Errors
/// If there is nothing at `path`, or it does not take `method`.
pub(super) fn find(method: &Method, path: &str) -> Result<Target, Problem> {
    // A slash that is encoded separates, too.
    let decoded = percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| Problem::bad("the path is not UTF-8"))?;
    let trimmed = decoded.strip_prefix('/').unwrap_or(&decoded);
    let (trimmed, is_folder) = match trimmed.strip_suffix('/') {
        Some(trimmed) => (trimmed, true),
        None => (trimmed, false),
    };
    let mut parts = [""; MAX_PARTS];
    let mut count = 0;
    for part in trimmed.split('/') {
        let place = parts
            .get_mut(count)
            .ok_or_else(|| Problem::not_found("path"))?;
        *place = part;
        count += 1;
    }
    let place = place(&parts[..count], is_folder).ok_or_else(|| Problem::not_found("path"))?;
    if method == Method::OPTIONS {
        return Ok(Target::Options);
    }
    let allowed = place.allowed();
    match place.route(method) {
        Some(route) => Ok(Target::Found(route)),
        None => Err(Problem::not_allowed(method, allowed)),
    }
}

/// What there is at a path.
enum Place<'a> {
    /// Something to look at.
    View(Route),
    Action {
        namespace: &'a str,
        package: Option<&'a str>,
        name: &'a str,
    },
    Package {
        namespace: &'a str,
        name: &'a str,
    },
    /// What there is not, one of them and all.
    Nothing {
        namespace: &'a str,
        one: &'static str,
        all: &'static str,
    },
}

impl Place<'_> {
    fn allowed(&self) -> &'static str {
        match self {
            Self::View(_) => "GET, OPTIONS",
            Self::Action { .. } | Self::Nothing { .. } => "GET, POST, PUT, DELETE, OPTIONS",
            Self::Package { .. } => "GET, PUT, DELETE, OPTIONS",
        }
    }

    fn route(self, method: &Method) -> Option<Route> {
        match self {
            Self::View(route) => (method == Method::GET).then_some(route),
            Self::Action {
                namespace,
                package,
                name,
            } => {
                let path = ActionPath {
                    package: package.map(str::to_owned),
                    name: name.to_owned(),
                };
                let make = match *method {
                    Method::GET => Route::GetAction,
                    Method::POST => Route::Invoke,
                    Method::PUT => Route::PutAction,
                    Method::DELETE => Route::DeleteAction,
                    _ => return None,
                };
                Some(make(namespace.to_owned(), path))
            }
            Self::Package { namespace, name } => {
                let make = match *method {
                    Method::GET => Route::GetPackage,
                    Method::PUT => Route::PutPackage,
                    Method::DELETE => Route::DeletePackage,
                    _ => return None,
                };
                Some(make(namespace.to_owned(), name.to_owned()))
            }
            Self::Nothing {
                namespace,
                one,
                all,
            } => {
                let namespace = namespace.to_owned();
                match *method {
                    Method::GET | Method::DELETE => Some(Route::GetNothing(namespace, one)),
                    Method::PUT | Method::POST => Some(Route::Later(namespace, all)),
                    _ => None,
                }
            }
        }
    }
}

fn place<'a>(parts: &[&'a str], is_folder: bool) -> Option<Place<'a>> {
    let view = |route| Some(Place::View(route));
    match *parts {
        ["api", "v1", "namespaces", namespace, ref rest @ ..] if !rest.is_empty() => {
            within(namespace, rest, is_folder)
        }
        [""] => view(Route::Info),
        ["ping"] => view(Route::Ping),
        ["api-docs"] | ["api", "v1", "api-docs"] => view(Route::ApiDocs),
        ["api", "v1"] => view(Route::ApiInfo),
        ["api", "v1", "namespaces"] => view(Route::Namespaces),
        _ => None,
    }
}

fn within<'a>(namespace: &'a str, parts: &[&'a str], is_folder: bool) -> Option<Place<'a>> {
    let ns = || namespace.to_owned();
    let view = |route| Some(Place::View(route));
    let activation = |id: &str, part| view(Route::GetActivation(ns(), id.to_owned(), part));
    let nothing = |one, all| {
        Some(Place::Nothing {
            namespace,
            one,
            all,
        })
    };
    match *parts {
        ["limits"] => view(Route::Limits(ns())),
        ["actions"] => view(Route::ListActions(ns(), None)),
        // With a slash at its end it is a package, whose actions are listed.
        ["actions", package] if is_folder => {
            view(Route::ListActions(ns(), Some(package.to_owned())))
        }
        ["actions", name] => Some(Place::Action {
            namespace,
            package: None,
            name,
        }),
        ["actions", package, name] => Some(Place::Action {
            namespace,
            package: Some(package),
            name,
        }),
        ["activations"] => view(Route::ListActivations(ns())),
        ["activations", id] => activation(id, Part::All),
        ["activations", id, "result"] => activation(id, Part::Result),
        ["activations", id, "logs"] => activation(id, Part::Logs),
        ["packages"] => view(Route::ListPackages(ns())),
        ["packages", name] => Some(Place::Package { namespace, name }),
        ["triggers"] => view(Route::ListNothing(ns(), "triggers")),
        ["rules"] => view(Route::ListNothing(ns(), "rules")),
        ["triggers", _] => nothing("trigger", "Triggers"),
        ["rules", _] => nothing("rule", "Rules"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
