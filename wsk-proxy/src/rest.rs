//! OpenWhisk's REST interface: from the head of a request to the bytes of its answer.

mod about;
mod actions;
mod activations;
pub(crate) mod body;
mod heard;
mod invoke;
mod list;
mod packages;
mod query;
mod register;
mod reply;
mod route;
mod rows;
mod sent;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;

use self::body::Arriving;
use self::heard::Heard;
use self::query::Query;
use self::reply::{Problem, Reply};
use self::route::{Route, Target};
use self::sent::Sent;
use crate::activation::{Digits, random_uuid};
use crate::auth::{Identity, Scope};
use crate::lane::Lane;
use crate::names::{self, OWN};
use crate::shared::Counted;

/// Longest name of a request that is taken as it is.
const MAX_REQUEST_ID: usize = 128;

/// A request whose sender is known.
#[derive(Debug)]
struct Asked<'a> {
    lane: &'a Arc<Lane>,
    heard: &'a Heard<'a>,
    query: Query<'a>,
    identity: Identity,
    /// The namespace that it is about.
    namespace: Arc<str>,
    /// The client wrote it rather than `_`.
    written_out: bool,
}

/// What OpenWhisk calls the transaction: what a client and an operator can find an answer by.
enum Transaction<'a> {
    /// The client named it.
    Given(&'a HeaderValue),
    Fresh(Digits),
}

/// Answers one request.
pub(crate) async fn serve(
    lane: &Arc<Lane>,
    request: Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    let (parts, incoming) = request.into_parts();
    let mut body = Arriving::from(incoming);
    let heard = Heard::of(&parts.headers);
    let transaction = Transaction::of(&heard);
    let shared = &*lane.shared;
    let most = shared.config.limits.max_in_flight;
    let place = Counted::below(&shared.in_flight, most);
    let (operation, answered) = if place.is_some() {
        answer(lane, &parts, &heard, &mut body).await
    } else {
        let text = format!("The proxy is busy: {most} requests are being answered.");
        ("busy", Err(Problem::busy(&text, Duration::from_secs(1))))
    };
    drop(place);
    body.leave(lane, &parts);
    // An answer to that has no body, to which hyper sees itself over HTTP/1 only.
    let is_head = parts.method == Method::HEAD;
    let answered = answered.and_then(|reply| {
        if is_head {
            return Ok(reply);
        }
        reply.hold(&shared.unsent, &parts)
    });
    let mut reply = answered.unwrap_or_else(|problem| problem.reply(transaction.text()));
    if is_head && parts.version >= Version::HTTP_2 {
        reply = reply.bare();
    }
    shared.metrics.answered(operation, reply.status().as_u16());
    let is_ending = shared.stopping.is_cancelled();
    Ok(reply.response(transaction.header(), parts.version, is_ending))
}

impl<'a> Transaction<'a> {
    fn of(heard: &Heard<'a>) -> Self {
        let usable = heard.request_id.filter(|id| {
            let id = id.as_bytes();
            (1..=MAX_REQUEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
        });
        usable.map_or_else(|| Self::Fresh(Digits::of(random_uuid())), Self::Given)
    }

    fn text(&self) -> &str {
        match self {
            // All of its characters are ASCII.
            Self::Given(id) => id.to_str().unwrap_or_default(),
            Self::Fresh(digits) => digits.as_str(),
        }
    }

    fn header(&self) -> HeaderValue {
        match self {
            Self::Given(id) => (*id).clone(),
            Self::Fresh(digits) => digits.header(),
        }
    }
}

/// The name of the operation, for metrics, and its answer.
async fn answer(
    lane: &Arc<Lane>,
    parts: &Parts,
    heard: &Heard<'_>,
    body: &mut Arriving,
) -> (&'static str, Result<Reply, Problem>) {
    let path = match route::decode(parts.uri.path()) {
        Ok(path) => path,
        Err(problem) => return ("unknown", Err(problem)),
    };
    match route::find(&parts.method, &path) {
        Err(problem) => ("unknown", Err(problem)),
        Ok(Target::Options) => ("options", Ok(Reply::empty())),
        Ok(Target::Found(route)) => {
            let answered = operate(lane, parts, heard, body, route).await;
            (route.operation(), answered)
        }
    }
}

async fn operate(
    lane: &Arc<Lane>,
    parts: &Parts,
    heard: &Heard<'_>,
    body: &mut Arriving,
    route: Route<'_>,
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
    // What is changed is answered with what it has become.
    let answer = lane.shared.config.limits.max_body_bytes;
    if scope == Scope::Write && lane.shared.unsent.available_permits() < answer {
        return Err(Problem::no_room());
    }
    let written_out = namespace.is_some_and(|name| name != OWN);
    let namespace = match namespace {
        Some(name) if written_out => permitted(&identity, name)?,
        _ => identity.namespace.clone(),
    };
    let asked = Asked {
        lane,
        heard,
        query: Query::parse(parts.uri.query().unwrap_or_default())?,
        identity,
        namespace,
        written_out,
    };
    match route {
        Route::Namespaces => Ok(about::namespaces(&asked)),
        Route::Limits(_) => Ok(about::limits(&asked)),
        Route::ListActions(_, package) => actions::list(&asked, package),
        Route::GetAction(_, action) => actions::get(&asked, action).await,
        Route::Invoke(_, action) => invoke::invoke(&asked, body, action).await,
        Route::PutAction(_, action) => register::put_action(&asked, body, action).await,
        Route::DeleteAction(_, action) => register::delete_action(&asked, action).await,
        Route::ListActivations(_) => activations::list(&asked),
        Route::GetActivation(_, id, part) => activations::get(&asked, id, part),
        Route::ListPackages(_) => packages::list(&asked),
        Route::GetPackage(_, name) => packages::get(&asked, name),
        Route::PutPackage(_, name) => packages::put(&asked, body, name).await,
        Route::DeletePackage(_, name) => packages::delete(&asked, name).await,
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
    fn action(&self, path: route::ActionPath<'_>) -> Result<names::ActionName, Problem> {
        let known = &self.lane.known;
        known
            .action(&self.namespace, path.package, path.name)
            .map_err(|error| Problem::bad(&error.to_string()))
    }
}
