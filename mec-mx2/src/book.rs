//! All that an Mx2 server knows, without clock and sockets: events in, effects out.
//!
//! Applications, routes, places and contexts are one state, which both interfaces and the
//! management change. Every change says what has to be written down ([`Record`]), which
//! contexts have something to be told, and what watchers see ([`Event`]).

mod binding;
mod context;
mod fits;
mod outbox;
mod places;
mod record;
mod routes;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::{AppFilter, AppInfo, Problem};
pub(crate) use context::{Caller, Context, Standing};
pub(crate) use outbox::{Job, Outcome, Settled};
pub use places::Place;
pub(crate) use record::Record;
pub(crate) use routes::Routes;
pub use routes::{Route, RouteError};
pub(crate) use sweep::Ages;

/// A context's identifier: 32 hexadecimal digits, drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(Uuid);

impl ContextId {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        plain
            .then(|| Uuid::try_parse(text).ok().map(Self))
            .flatten()
    }

    /// One of `count` shares that this context belongs to.
    pub(crate) fn share(self, count: usize) -> usize {
        usize::from(self.0.as_bytes()[0]) % count
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.simple(), f)
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) contexts: usize,
    /// Of all contexts' requests together.
    pub(crate) bytes: usize,
    /// Of one owner, or of one address where nobody says who it is.
    pub(crate) contexts_per_owner: usize,
    /// Notifications that wait for one context.
    pub(crate) queue: usize,
}

/// Applications, routes and places that are kept at the most.
const MAX_APPS: usize = 10_000;
const MAX_ROUTES: usize = 1_000_000;
const MAX_PLACES: usize = 100_000;

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A context is there, or has changed.
    Present(ContextView),
    /// A context is gone.
    Gone(ContextId),
}

/// A context as operators and balancers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextView {
    /// Which.
    pub id: ContextId,
    /// The device application.
    pub device_app: Arc<str>,
    /// The address that it was created from.
    pub address: Arc<str>,
    /// Its owner, if clients say who they are.
    pub subject: Option<Arc<str>>,
    /// The application.
    pub app: Arc<str>,
    /// Where its first instance is reached; empty: nowhere.
    pub endpoint: Arc<str>,
    /// `creating`, `ready`, `migrating` or `unreachable`.
    pub state: &'static str,
    /// Why the last notification did not arrive; empty: it did.
    pub last_error: Arc<str>,
}

/// What follows from a change.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) records: Vec<Record>,
    /// Contexts to which delivery has to start.
    pub(crate) wake: Vec<ContextId>,
    pub(crate) events: Vec<Event>,
}

/// An application is known by name, provider and version.
type AppKey = (String, String, String);

/// See the documentation of this module.
#[derive(Debug)]
pub(crate) struct Book {
    bounds: Bounds,
    apps: BTreeMap<AppKey, AppInfo>,
    /// Measured round trips in milliseconds.
    latencies: HashMap<String, u32>,
    routes: Routes,
    places: fits::Places,
    contexts: HashMap<ContextId, Context>,
    by_app: HashMap<Arc<str>, HashSet<ContextId>>,
    by_owner: HashMap<context::Owner, usize>,
    /// Those of the older interface.
    by_device: HashMap<context::Named, HashSet<ContextId>>,
    bytes: usize,
    outboxes: HashMap<ContextId, outbox::Outbox>,
    effects: Effects,
}

/// The catalogue.
impl Book {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            apps: BTreeMap::new(),
            latencies: HashMap::new(),
            routes: Routes::default(),
            places: BTreeMap::new(),
            contexts: HashMap::new(),
            by_app: HashMap::new(),
            by_owner: HashMap::new(),
            by_device: HashMap::new(),
            bytes: 0,
            outboxes: HashMap::new(),
            effects: Effects::default(),
        }
    }

    /// What has followed from changes since the last call.
    pub(crate) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Adds or replaces an application. Returns whether it is new.
    pub(crate) fn add_app(&mut self, app: AppInfo) -> Result<bool, Problem> {
        let key = key(&app);
        match self.apps.get(&key) {
            Some(known) if *known == app => return Ok(false),
            None if self.apps.len() >= MAX_APPS => {
                return Err(Problem::overloaded("there are too many applications", 60));
            }
            _ => {}
        }
        self.effects.records.push(Record::App(app.clone()));
        Ok(self.apps.insert(key, app).is_none())
    }

    /// Takes an application out of the list. Its contexts stay. Returns whether it was there.
    pub(crate) fn remove_app(&mut self, name: &str, provider: &str, version: &str) -> bool {
        let key = (name.to_owned(), provider.to_owned(), version.to_owned());
        let known = self.apps.remove(&key).is_some();
        if known {
            self.effects.records.push(Record::NoApp(key));
            if !self.apps.values().any(|app| app.name == name) {
                self.latencies.remove(name);
            }
        }
        known
    }

    /// The applications in order of name, provider and version, each with the round trip
    /// that was measured.
    pub(crate) fn apps<'a>(
        &'a self,
        filter: &'a AppFilter,
    ) -> impl Iterator<Item = (&'a AppInfo, u32)> {
        let apps = self.apps.values().filter(|app| filter.admits(app));
        apps.map(|app| (app, self.latencies.get(&app.name).copied().unwrap_or(0)))
    }

    /// What the brokers measure; 0: unknown. Not written down: it is measured again.
    pub(crate) fn set_latency(&mut self, app: &str, latency_ms: u32) {
        if latency_ms == 0 {
            self.latencies.remove(app);
        } else if self.apps.values().any(|known| known.name == app) {
            self.latencies.insert(app.to_owned(), latency_ms);
        }
    }

    pub(crate) fn contexts(&self) -> impl Iterator<Item = ContextView> {
        self.contexts.iter().map(|(id, context)| context.view(*id))
    }

    pub(crate) fn num_contexts(&self) -> usize {
        self.contexts.len()
    }

    pub(crate) fn num_apps(&self) -> usize {
        self.apps.len()
    }

    pub(crate) fn num_routes(&self) -> usize {
        self.routes.len()
    }

    /// Bytes of all requests, and notifications that wait.
    pub(crate) fn weight(&self) -> (usize, usize) {
        let waiting = self.outboxes.values().map(outbox::Outbox::len).sum();
        (self.bytes, waiting)
    }

    fn present(&mut self, id: ContextId) {
        if let Some(context) = self.contexts.get(&id) {
            let view = context.view(id);
            self.effects.events.push(Event::Present(view));
        }
    }
}

fn key(app: &AppInfo) -> AppKey {
    (
        app.name.clone(),
        app.provider.clone(),
        app.soft_version.clone(),
    )
}
