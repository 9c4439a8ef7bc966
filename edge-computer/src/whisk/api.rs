//! The REST surface: who asks for what, and what is answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Platform;
use super::activations::{Filter, Record, millis_now};
use super::body::Arriving;
use super::entities::{Action, ActionPut, Package, PackagePut};
use super::invoke::{Call, find, invoke, new_id};
use super::reply::{Refusal, Reply};
use crate::openwhisk::is_valid;

/// Longest body of an invocation, in bytes.
const MAX_PAYLOAD: usize = 1 << 20;
/// Longest body of anything else: code in base64 within JSON.
const MAX_BODY: usize = 70 << 20;
/// Elements of a listing, if it is not said, and at the most.
const DEFAULT_LIMIT: usize = 30;
const MAX_LIMIT: usize = 200;

/// Answers one request.
pub(super) async fn answer(
    platform: Arc<Platform>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let own = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok());
    let code = own
        .filter(|id| id.len() <= 128)
        .map_or_else(new_id, str::to_owned);
    let (head, incoming) = request.into_parts();
    let mut body = Arriving::new(incoming, &head.headers);
    let reply = route(platform, head, &mut body).await;
    body.leave();
    reply
        .unwrap_or_else(|refusal| refusal.reply(&code))
        .into_response()
}

/// A request on its way to what it is about.
struct Asked<'a> {
    platform: Arc<Platform>,
    method: Method,
    query: HashMap<String, String>,
    headers: HeaderMap,
    body: &'a mut Arriving,
    /// Of whoever asks.
    namespace: String,
}

async fn route(
    platform: Arc<Platform>,
    head: Parts,
    body: &mut Arriving,
) -> Result<Reply, Refusal> {
    let path = head.uri.path();
    let decode = |part: &str| {
        percent_decode_str(part)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
    };
    let parts = path.split('/').filter(|part| !part.is_empty()).map(decode);
    let parts: Vec<String> = parts
        .collect::<Result<_, _>>()
        .map_err(|_| Refusal::bad("The path is not UTF-8."))?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        _ if head.method == Method::OPTIONS => return Ok(Reply::json(StatusCode::OK, &json!({}))),
        [] => return Ok(Reply::json(StatusCode::OK, &info(&platform))),
        ["ping"] => return Ok(Reply::json(StatusCode::OK, &json!("pong"))),
        ["api", "v1"] => return Ok(Reply::json(StatusCode::OK, &version())),
        ["api", "v1", "namespaces", ..] => {}
        _ => return Err(Refusal::missing()),
    }
    let namespace = authenticate(&platform, &head.headers)?;
    let url = format!("http://host/?{}", head.uri.query().unwrap_or_default());
    let query = reqwest::Url::parse(&url).map_err(|_| Refusal::bad("The query is malformed."))?;
    let asked = Asked {
        query: query.query_pairs().into_owned().collect(),
        // Of an answer to HEAD only the body is missing, which hyper sees to.
        method: if head.method == Method::HEAD {
            Method::GET
        } else {
            head.method
        },
        headers: head.headers,
        platform,
        body,
        namespace,
    };
    if let [_, _, _, of, ..] = parts[..] {
        if of != "_" && !is_valid(of) {
            return Err(Refusal::bad("The namespace has no valid name."));
        }
        if of != "_" && of != asked.namespace {
            let text = "The supplied authentication is not authorized to access this resource.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, text));
        }
    }
    match parts[3..] {
        [] => asked.get(|asked| Ok(json!([asked.namespace]))),
        [_, "limits"] => asked.get(|asked| Ok(limits(&asked.platform))),
        [_, "actions"] => asked.get(|asked| asked.list_actions(None)),
        [_, "actions", package] if path.ends_with('/') => {
            asked.get(|asked| asked.list_actions(Some(package)))
        }
        [_, "actions", name] => asked.action("", name).await,
        [_, "actions", package, name] => asked.action(package, name).await,
        [_, "packages"] => asked.get(Asked::list_packages),
        [_, "packages", name] => asked.package(name).await,
        [_, "triggers" | "rules"] => asked.get(|asked| asked.page("", Vec::new(), |none| none)),
        [_, "activations"] => asked.get(Asked::list_activations),
        [_, "activations", id] => asked.activation(id, None),
        [_, "activations", id, part] => asked.activation(id, Some(part)),
        _ => Err(Refusal::missing()),
    }
}

/// The namespace that the credentials are for.
fn authenticate(platform: &Platform, headers: &HeaderMap) -> Result<String, Refusal> {
    let text = "The supplied authentication is invalid.";
    let refusal = || Refusal::new(StatusCode::UNAUTHORIZED, text);
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let encoded = header.and_then(|header| header.strip_prefix("Basic "));
    let pair = encoded.and_then(|encoded| STANDARD.decode(encoded.trim()).ok());
    let pair = pair
        .and_then(|pair| String::from_utf8(pair).ok())
        .ok_or_else(refusal)?;
    let user = platform
        .config
        .users
        .iter()
        .find(|user| user.auth() == pair);
    user.map(|user| user.namespace.clone()).ok_or_else(refusal)
}

impl Asked<'_> {
    /// Answers what can only be read.
    fn get(&self, read: impl FnOnce(&Self) -> Result<Value, Refusal>) -> Result<Reply, Refusal> {
        if self.method != Method::GET {
            return Err(Refusal::method());
        }
        Ok(Reply::json(StatusCode::OK, &read(self)?))
    }

    fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.query.get(name).map(String::as_str) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::bad(format!(
                "The query parameter '{name}' was malformed: it is true or false."
            ))),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.query.get(name) else {
            return Ok(None);
        };
        let malformed = |_| Refusal::bad(format!("The query parameter '{name}' was malformed."));
        text.parse().map(Some).map_err(malformed)
    }

    /// The part of `all` that is asked for, or how many there are.
    fn page<T>(
        &self,
        collection: &str,
        all: Vec<T>,
        show: impl Fn(T) -> Value,
    ) -> Result<Value, Refusal> {
        let skip = self.number("skip")?.unwrap_or(0);
        let limit = self.number("limit")?.unwrap_or(DEFAULT_LIMIT as u64);
        if limit > MAX_LIMIT as u64 {
            let text =
                format!("The value '{limit}' is not in the range of 0 to {MAX_LIMIT} for limit.");
            return Err(Refusal::bad(text));
        }
        let limit = if limit == 0 {
            MAX_LIMIT
        } else {
            limit as usize
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        if self.flag("count")? {
            return Ok(json!({ collection: all.len().saturating_sub(skip) }));
        }
        Ok(all.into_iter().skip(skip).take(limit).map(show).collect())
    }

    /// The latest change first.
    fn list_actions(&self, package: Option<&str>) -> Result<Value, Refusal> {
        let all = self.platform.with(&self.namespace, |space| {
            if let Some(package) = package
                && !space.entities.packages.contains_key(package)
            {
                return Err(Refusal::missing());
            }
            let actions = space.entities.actions.values();
            let mut actions: Vec<_> = actions
                .filter(|action| package.is_none_or(|package| action.package == package))
                .collect();
            actions.sort_by_key(|action| std::cmp::Reverse(action.updated));
            Ok(actions.into_iter().map(Action::summary).collect())
        })?;
        self.page("actions", all, |action| action)
    }

    fn list_packages(&self) -> Result<Value, Refusal> {
        let all = self.platform.with(&self.namespace, |space| {
            space
                .entities
                .packages
                .values()
                .map(Package::summary)
                .collect()
        });
        self.page("packages", all, |package| package)
    }

    fn list_activations(&self) -> Result<Value, Refusal> {
        let (docs, count) = (self.flag("docs")?, self.flag("count")?);
        if docs && count {
            let text = "The parameters 'docs' and 'count' cannot be used together.";
            return Err(Refusal::bad(text));
        }
        let filter = Filter {
            name: self.query.get("name").cloned(),
            since: self.number("since")?,
            upto: self.number("upto")?,
        };
        let all = self.platform.with(&self.namespace, |space| {
            let found = space.activations.matching(&filter);
            found.cloned().collect()
        });
        // Only of what is shown documents are made.
        self.page("activations", all, |record: Arc<Record>| {
            if docs {
                serde_json::from_str(&record.document()).unwrap_or_default()
            } else {
                record.summary()
            }
        })
    }

    fn activation(&self, id: &str, part: Option<&str>) -> Result<Reply, Refusal> {
        if self.method != Method::GET {
            return Err(Refusal::method());
        }
        if id.len() != 32 {
            let length = id.len();
            let text = format!("The activation id has {length} characters, it must have 32.");
            return Err(Refusal::bad(text));
        }
        if !id
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        {
            return Err(Refusal::bad("The activation id is not valid."));
        }
        let record = self
            .platform
            .with(&self.namespace, |space| space.activations.get(id));
        let record = record.ok_or_else(Refusal::missing)?;
        match part {
            None => Ok(Reply::text(StatusCode::OK, record.document())),
            Some("result") => Ok(Reply::json(StatusCode::OK, &record.response())),
            Some("logs") => Ok(Reply::json(StatusCode::OK, &json!({ "logs": record.logs }))),
            Some(_) => Err(Refusal::missing()),
        }
    }

    async fn action(mut self, package: &str, name: &str) -> Result<Reply, Refusal> {
        let key = (package.to_owned(), name.to_owned());
        let get = |asked: &Self| {
            let found = asked.platform.with(&asked.namespace, |space| {
                space.entities.actions.get(&key).cloned()
            });
            found.ok_or_else(Refusal::missing)
        };
        match self.method {
            Method::GET => {
                let code = !self.query.contains_key("code") || self.flag("code")?;
                Ok(Reply::json(StatusCode::OK, &get(&self)?.document(code)))
            }
            Method::PUT => {
                let put: ActionPut = self.json(MAX_BODY).await?;
                let overwrite = self.flag("overwrite")?;
                // An action that is there already stays as it is if this fails.
                let known =
                    |component: &String| find(&self.platform, &self.namespace, component).is_some();
                if !put.components().iter().all(known) {
                    return Err(Refusal::bad("Sequence component does not exist."));
                }
                let own = (self.namespace.as_str(), package, name);
                let action = self.platform.with(&self.namespace, |space| {
                    let entities = &mut space.entities;
                    if !package.is_empty() && !entities.packages.contains_key(package) {
                        return Err(Refusal::missing());
                    }
                    let before = entities.actions.get(&key);
                    if before.is_some() && !overwrite {
                        let text = "resource already exists";
                        return Err(Refusal::new(StatusCode::CONFLICT, text));
                    }
                    let action = put.apply(own, before)?;
                    entities.actions.insert(key.clone(), action.clone());
                    Ok(action)
                })?;
                if !action.exec.is_sequence() {
                    self.platform.runtimes.deploy(action.function());
                }
                Ok(Reply::json(StatusCode::OK, &action.document(true)))
            }
            Method::DELETE => {
                let action = get(&self)?;
                self.platform
                    .with(&self.namespace, |space| space.entities.actions.remove(&key));
                self.platform.runtimes.withdraw(&action.full_name());
                Ok(Reply::json(StatusCode::OK, &action.document(true)))
            }
            Method::POST => {
                let (blocking, result) = (self.flag("blocking")?, self.flag("result")?);
                let ceiling = self.platform.config.max_blocking;
                let wait = match self.number("timeout")? {
                    None => ceiling,
                    Some(ms) if ms >= 1 && Duration::from_millis(ms) <= ceiling => {
                        Duration::from_millis(ms)
                    }
                    Some(_) => {
                        let text = format!(
                            "The timeout must be a number of milliseconds from 1 to {}.",
                            ceiling.as_millis()
                        );
                        return Err(Refusal::bad(text));
                    }
                };
                let payload = self.payload().await?;
                let action = get(&self)?;
                let call = Call {
                    blocking,
                    result,
                    wait,
                };
                invoke(self.platform, &self.namespace, action, payload, call).await
            }
            _ => Err(Refusal::method()),
        }
    }

    async fn package(mut self, name: &str) -> Result<Reply, Refusal> {
        match self.method {
            Method::GET => {
                let document = self.document(name).ok_or_else(Refusal::missing)?;
                Ok(Reply::json(StatusCode::OK, &document))
            }
            Method::PUT => {
                let put: PackagePut = self.json(MAX_BODY).await?;
                let overwrite = self.flag("overwrite")?;
                if !is_valid(name) || name == "default" {
                    return Err(Refusal::bad(format!("'{name}' is no name of a package.")));
                }
                if put.binding.is_some_and(|binding| binding != json!({})) {
                    return Err(Refusal::bad("Bindings are not supported by this platform."));
                }
                self.platform.with(&self.namespace, |space| {
                    let packages = &mut space.entities.packages;
                    let before = packages.get(name);
                    if before.is_some() && !overwrite {
                        let text = "resource already exists";
                        return Err(Refusal::new(StatusCode::CONFLICT, text));
                    }
                    let package = Package {
                        namespace: self.namespace.clone(),
                        name: name.to_owned(),
                        publish: put.publish.unwrap_or(before.is_some_and(|p| p.publish)),
                        annotations: put.annotations.unwrap_or_else(|| {
                            before.map(|p| p.annotations.clone()).unwrap_or_default()
                        }),
                        parameters: put.parameters.unwrap_or_else(|| {
                            before.map(|p| p.parameters.clone()).unwrap_or_default()
                        }),
                        patch: before.map_or(1, |p| p.patch + 1),
                        updated: millis_now(),
                    };
                    packages.insert(name.to_owned(), package);
                    Ok(())
                })?;
                let document = self.document(name).ok_or_else(Refusal::missing)?;
                Ok(Reply::json(StatusCode::OK, &document))
            }
            Method::DELETE => {
                let document = self.document(name).ok_or_else(Refusal::missing)?;
                let force = self.flag("force")?;
                let gone = self.platform.with(&self.namespace, |space| {
                    let entities = &mut space.entities;
                    let inside = |(package, _): &(String, String)| package == name;
                    if !force && entities.actions.keys().any(inside) {
                        let text = "Package not empty (contains entities).";
                        return Err(Refusal::new(StatusCode::CONFLICT, text));
                    }
                    entities.packages.remove(name);
                    let gone = entities.actions.extract_if(.., |key, _| inside(key));
                    Ok(gone.map(|(_, action)| action).collect::<Vec<_>>())
                })?;
                for action in gone {
                    self.platform.runtimes.withdraw(&action.full_name());
                }
                Ok(Reply::json(StatusCode::OK, &document))
            }
            _ => Err(Refusal::method()),
        }
    }

    fn document(&self, package: &str) -> Option<Value> {
        self.platform.with(&self.namespace, |space| {
            let actions = space.entities.actions.values();
            let inside = actions.filter(|action| action.package == package);
            Some(space.entities.packages.get(package)?.document(inside))
        })
    }

    /// The body, which may be absent, as JSON.
    async fn json<T: DeserializeOwned + Default>(&mut self, limit: usize) -> Result<T, Refusal> {
        let bytes = self.bytes(limit).await?;
        if bytes.is_empty() {
            return Ok(T::default());
        }
        self.check_type()?;
        let malformed = |error| Refusal::bad(format!("The request content was malformed: {error}"));
        serde_json::from_slice(&bytes).map_err(malformed)
    }

    /// The parameters of an invocation: an object.
    async fn payload(&mut self) -> Result<Box<RawValue>, Refusal> {
        let bytes = self.bytes(MAX_PAYLOAD).await?;
        let malformed = || Refusal::bad("The request content was malformed: it is no JSON object.");
        let text = String::from_utf8(bytes.into()).map_err(|_| malformed())?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(RawValue::from_string("{}".to_owned()).expect("it is JSON"));
        }
        self.check_type()?;
        if !text.starts_with('{') {
            return Err(malformed());
        }
        RawValue::from_string(text.to_owned()).map_err(|_| malformed())
    }

    fn check_type(&self) -> Result<(), Refusal> {
        let given = self
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media = given
            .and_then(|given| given.split(';').next())
            .map(str::trim);
        if media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
            return Ok(());
        }
        let text = "The request's Content-Type is not supported. Expected: application/json";
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
    }

    async fn bytes(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        self.body.read(limit).await
    }
}

fn info(platform: &Platform) -> Value {
    json!({
        "description": "OpenWhisk",
        "support": {},
        "api_paths": ["/api/v1"],
        "limits": {
            "actions_per_minute": platform.config.invocations_per_minute,
            "concurrent_actions": platform.config.concurrent_invocations,
            "sequence_length": 50,
            "triggers_per_minute": 0,
        },
        "runtimes": { "nodejs": [
            { "kind": "nodejs:18", "default": false, "deprecated": false },
            { "kind": "nodejs:20", "default": true, "deprecated": false },
        ]},
    })
}

fn version() -> Value {
    json!({
        "description": "OpenWhisk API",
        "api_version": "1.0.0",
        "api_version_path": "v1",
        "build": env!("CARGO_PKG_VERSION"),
        "buildno": "0",
        "swagger_paths": { "ui": "/docs", "api-docs": "/api-docs" },
    })
}

fn limits(platform: &Platform) -> Value {
    json!({
        "invocationsPerMinute": platform.config.invocations_per_minute,
        "concurrentInvocations": platform.config.concurrent_invocations,
        "firesPerMinute": 0,
        "allowedKinds": ["nodejs:default", "nodejs:18", "nodejs:20", "sequence"],
        "storeActivations": true,
    })
}
