//! OpenWhisk's REST interface: from the head of a request to the bytes of its answer.

mod about;
mod actions;
mod activations;
mod body;
mod invoke;
mod list;
mod packages;
mod query;
mod register;
mod reply;
mod route;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};

use self::query::Query;
use self::reply::{Problem, Reply};
use self::route::{Route, Target};
use crate::activation::random_uuid;
use crate::auth::{Identity, Scope};
use crate::lane::Lane;
use crate::names::{self, OWN};
use crate::shared::Counted;

/// The header that names a request.
const REQUEST_ID: &str = "x-request-id";
/// Longest of those that is taken as it is.
const MAX_REQUEST_ID: usize = 128;

/// A request whose sender is known.
#[derive(Debug)]
struct Asked<'a> {
    lane: &'a Arc<Lane>,
    parts: &'a Parts,
    query: Query<'a>,
    identity: Identity,
    /// The namespace that it is about.
    namespace: Arc<str>,
    /// The client wrote it rather than `_`.
    written_out: bool,
}

/// Answers one request.
pub(crate) async fn serve(
    lane: Arc<Lane>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let transaction = transaction(&parts.headers);
    let shared = lane.shared.clone();
    let most = shared.config.limits.max_in_flight;
    let place = Counted::below(&shared.in_flight, most);
    let (operation, answered) = if place.is_some() {
        answer(&lane, &parts, body).await
    } else {
        let text = format!("The proxy is busy: {most} requests are being answered.");
        ("busy", Err(Problem::busy(&text, Duration::from_secs(1))))
    };
    let reply = answered.unwrap_or_else(|problem| problem.reply(&transaction));
    shared.metrics.answered(operation, reply.status().as_u16());
    let is_ending = shared.stopping.is_cancelled();
    Ok(reply.response(&transaction, parts.version, is_ending))
}

/// What OpenWhisk calls the transaction: what a client and an operator can find an answer by.
fn transaction(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let usable = given.filter(|id| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    });
    usable.map_or_else(|| random_uuid().simple().to_string(), str::to_owned)
}

/// The name of the operation, for metrics, and its answer.
async fn answer(
    lane: &Arc<Lane>,
    parts: &Parts,
    body: Incoming,
) -> (&'static str, Result<Reply, Problem>) {
    let target = match route::find(&parts.method, parts.uri.path()) {
        Ok(target) => target,
        Err(problem) => return ("unknown", Err(problem)),
    };
    match target {
        Target::Options => ("options", Ok(Reply::empty())),
        Target::Found(route) => (route.operation(), operate(lane, parts, body, route).await),
    }
}

async fn operate(
    lane: &Arc<Lane>,
    parts: &Parts,
    body: Incoming,
    route: Route,
) -> Result<Reply, Problem> {
    let Some((namespace, scope)) = route.needs() else {
        return about::public(lane, &route);
    };
    let identity = lane.shared.doorkeeper.identify(&parts.headers);
    let identity = identity.ok_or_else(Problem::unauthorized)?;
    if !identity.scopes.has(scope) {
        let text = match scope {
            Scope::Read => "The credentials do not allow to read.",
            Scope::Invoke => "The credentials do not allow to invoke actions.",
            Scope::Write => "The credentials do not allow to register or delete.",
        };
        return Err(Problem::forbidden(text));
    }
    let written_out = namespace.is_some_and(|name| name != OWN);
    let namespace = match namespace {
        Some(name) if written_out => permitted(&identity, name)?,
        _ => identity.namespace.clone(),
    };
    let asked = Asked {
        lane,
        parts,
        query: Query::parse(parts.uri.query().unwrap_or_default())?,
        identity,
        namespace,
        written_out,
    };
    match route {
        Route::Namespaces => Ok(about::namespaces(&asked)),
        Route::Limits(_) => Ok(about::limits(&asked)),
        Route::ListActions(_, package) => actions::list(&asked, package.as_deref()),
        Route::GetAction(_, action) => actions::get(&asked, &action).await,
        Route::Invoke(_, action) => invoke::invoke(&asked, body, &action).await,
        Route::PutAction(_, action) => register::put_action(&asked, body, &action).await,
        Route::DeleteAction(_, action) => register::delete_action(&asked, &action).await,
        Route::ListActivations(_) => activations::list(&asked),
        Route::GetActivation(_, id, part) => activations::get(&asked, &id, part),
        Route::ListPackages(_) => packages::list(&asked),
        Route::GetPackage(_, name) => packages::get(&asked, &name),
        Route::PutPackage(_, name) => packages::put(&asked, body, &name).await,
        Route::DeletePackage(_, name) => packages::delete(&asked, &name).await,
        Route::ListNothing(_, collection) => list::nothing(&asked, collection),
        Route::GetNothing(_, what) => Err(Problem::not_found(what)),
        Route::Later(_, what) => Err(Problem::not_implemented(&format!(
            "{what} are not available in this version."
        ))),
        Route::Info | Route::ApiInfo | Route::Ping | Route::ApiDocs => about::public(lane, &route),
    }
}

/// The namespace of this name, if the client may see it.
fn permitted(identity: &Identity, name: &str) -> Result<Arc<str>, Problem> {
    if *identity.namespace == *name {
        return Ok(identity.namespace.clone());
    }
    if !identity.anywhere {
        return Err(Problem::forbidden(
            "The supplied authentication is not authorized to access this resource.",
        ));
    }
    names::check(name).map_err(|error| Problem::bad(&format!("namespace: {error}")))?;
    Ok(name.into())
}

impl Asked<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    fn action(&self, path: &route::ActionPath) -> Result<names::ActionName, Problem> {
        names::ActionName::new(&self.namespace, path.package.as_deref(), &path.name)
            .map_err(|error| Problem::bad(&error.to_string()))
    }
}
