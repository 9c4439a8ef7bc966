//! Paths and methods: what a request is for.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::reply::Problem;
use crate::auth::Scope;

/// The path of an action below its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ActionPath<'a> {
    pub(super) package: Option<&'a str>,
    pub(super) name: &'a str,
}

/// Which part of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    Result,
    Logs,
}

/// What a request asks for. Those with a namespace have it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Info,
    ApiInfo,
    ApiDocs,
    Ping,
    Namespaces,
    Limits(&'a str),
    ListActions(&'a str, Option<&'a str>),
    GetAction(&'a str, ActionPath<'a>),
    Invoke(&'a str, ActionPath<'a>),
    PutAction(&'a str, ActionPath<'a>),
    DeleteAction(&'a str, ActionPath<'a>),
    ListActivations(&'a str),
    GetActivation(&'a str, &'a str, Part),
    ListPackages(&'a str),
    GetPackage(&'a str, &'a str),
    PutPackage(&'a str, &'a str),
    DeletePackage(&'a str, &'a str),
    /// Triggers and rules: there are none.
    ListNothing(&'a str, &'static str),
    GetNothing(&'a str, &'static str),
    /// What can be done with them, but not here.
    Later(&'a str, &'static str),
}

/// What a path and a method lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Found(Route<'a>),
    /// What a browser asks before it asks.
    Options,
}

impl<'a> Route<'a> {
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
    pub(super) fn needs(&self) -> Option<(Option<&'a str>, Scope)> {
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

/// What all paths of a namespace begin with.
const NAMESPACES: &str = "api/v1/namespaces/";
/// Segments of the longest path, behind that.
const MAX_PARTS: usize = 5;

/// A path as text. A slash that is encoded separates, too.
///
/// # Errors
/// If it is no UTF-8.
pub(super) fn decode(path: &str) -> Result<Cow<'_, str>, Problem> {
    // Mostly there is nothing to decode.
    if !path.contains('%') {
        return Ok(path.into());
    }
    let decoded = percent_decode_str(path).decode_utf8();
    decoded.map_err(|_| Problem::bad("the path is not UTF-8"))
}

/// What a request for a decoded path is for.
///
/// # Errors
/// If there is nothing at `path`, or it does not take `method`.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Target<'a>, Problem> {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let (trimmed, is_folder) = match trimmed.strip_suffix('/') {
        Some(trimmed) => (trimmed, true),
        None => (trimmed, false),
    };
    let place = match trimmed.strip_prefix(NAMESPACES) {
        Some(rest) => below_namespaces(rest, is_folder),
        None => elsewhere(trimmed).map(Place::View),
    };
    let place = place.ok_or_else(|| Problem::not_found("path"))?;
    if method == Method::OPTIONS {
        return Ok(Target::Options);
    }
    let allowed = place.allowed();
    // Of an answer to HEAD only the body is missing, which is for those who send it.
    let meant = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    match place.route(meant) {
        Some(route) => Ok(Target::Found(route)),
        None => Err(Problem::not_allowed(method, allowed)),
    }
}

/// What there is at a path.
enum Place<'a> {
    /// Something to look at.
    View(Route<'a>),
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

impl<'a> Place<'a> {
    fn allowed(&self) -> &'static str {
        match self {
            Self::View(_) => "GET, HEAD, OPTIONS",
            Self::Action { .. } | Self::Nothing { .. } => "GET, HEAD, POST, PUT, DELETE, OPTIONS",
            Self::Package { .. } => "GET, HEAD, PUT, DELETE, OPTIONS",
        }
    }

    fn route(self, method: &Method) -> Option<Route<'a>> {
        match self {
            Self::View(route) => (method == Method::GET).then_some(route),
            Self::Action {
                namespace,
                package,
                name,
            } => {
                let path = ActionPath { package, name };
                let make = match *method {
                    Method::GET => Route::GetAction,
                    Method::POST => Route::Invoke,
                    Method::PUT => Route::PutAction,
                    Method::DELETE => Route::DeleteAction,
                    _ => return None,
                };
                Some(make(namespace, path))
            }
            Self::Package { namespace, name } => {
                let make = match *method {
                    Method::GET => Route::GetPackage,
                    Method::PUT => Route::PutPackage,
                    Method::DELETE => Route::DeletePackage,
                    _ => return None,
                };
                Some(make(namespace, name))
            }
            Self::Nothing {
                namespace,
                one,
                all,
            } => match *method {
                Method::GET | Method::DELETE => Some(Route::GetNothing(namespace, one)),
                Method::PUT | Method::POST => Some(Route::Later(namespace, all)),
                _ => None,
            },
        }
    }
}

fn elsewhere(path: &str) -> Option<Route<'_>> {
    Some(match path {
        "" => Route::Info,
        "ping" => Route::Ping,
        "api-docs" | "api/v1/api-docs" => Route::ApiDocs,
        "api/v1" => Route::ApiInfo,
        "api/v1/namespaces" => Route::Namespaces,
        _ => return None,
    })
}

fn below_namespaces(path: &str, is_folder: bool) -> Option<Place<'_>> {
    let mut parts = [""; MAX_PARTS];
    let (mut count, mut begin) = (0, 0);
    // By hand, as a search for each slash costs more than the few bytes up to it.
    for (at, byte) in path.bytes().enumerate() {
        if byte == b'/' {
            *parts.get_mut(count)? = &path[begin..at];
            (count, begin) = (count + 1, at + 1);
        }
    }
    *parts.get_mut(count)? = &path[begin..];
    match parts[..=count] {
        [namespace, ref rest @ ..] if !rest.is_empty() => within(namespace, rest, is_folder),
        _ => None,
    }
}

fn within<'a>(namespace: &'a str, parts: &[&'a str], is_folder: bool) -> Option<Place<'a>> {
    let view = |route| Some(Place::View(route));
    let activation = |id, part| view(Route::GetActivation(namespace, id, part));
    let nothing = |one, all| {
        Some(Place::Nothing {
            namespace,
            one,
            all,
        })
    };
    match *parts {
        ["limits"] => view(Route::Limits(namespace)),
        ["actions"] => view(Route::ListActions(namespace, None)),
        // With a slash at its end it is a package, whose actions are listed.
        ["actions", package] if is_folder => view(Route::ListActions(namespace, Some(package))),
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
        ["activations"] => view(Route::ListActivations(namespace)),
        ["activations", id] => activation(id, Part::All),
        ["activations", id, "result"] => activation(id, Part::Result),
        ["activations", id, "logs"] => activation(id, Part::Logs),
        ["packages"] => view(Route::ListPackages(namespace)),
        ["packages", name] => Some(Place::Package { namespace, name }),
        ["triggers"] => view(Route::ListNothing(namespace, "triggers")),
        ["rules"] => view(Route::ListNothing(namespace, "rules")),
        ["triggers", _] => nothing("trigger", "Triggers"),
        ["rules", _] => nothing("rule", "Rules"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
