//! Which client reaches which application where.

use std::collections::{BTreeMap, HashMap};

use super::{Book, MAX_ROUTES, Record};
use crate::model::Reference;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Whom it is for: the address of a client, `device:` and the identifier of a device
    /// application, or `subject:` and an owner; empty: all others.
    pub client: String,
    /// The application's name.
    pub app: String,
    /// Where it is reached.
    pub reference: Reference,
}

/// A route that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Who does not say which application.
    #[error("the name of the application is empty")]
    NoApp,
    /// Who does not say where, or says no end-point.
    #[error("the end-point is empty or no end-point")]
    NoServer,
    /// An end-point was given where a route is removed.
    #[error("an end-point has no meaning where a route is removed")]
    Server,
    /// A name is too long.
    #[error("a name has more than {MAX_BYTES} bytes")]
    TooLong,
    /// There are too many.
    #[error("there are {MAX_ROUTES} routes already, which is the limit")]
    Full,
}

/// Longest client and application, in bytes.
const MAX_BYTES: usize = 300;

/// All routes: of each application, by client.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_app: BTreeMap<String, BTreeMap<String, Reference>>,
    /// How many lead where, of each application.
    ends: HashMap<String, HashMap<String, usize>>,
    count: usize,
}

impl Routes {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, client: &str, app: &str) -> Option<&Reference> {
        self.by_app.get(app)?.get(client)
    }

    /// The route of the first of `clients` that has one, else the default.
    pub(super) fn best<'a>(
        &self,
        clients: impl IntoIterator<Item = &'a str>,
        app: &str,
    ) -> Option<&Reference> {
        let routes = self.by_app.get(app)?;
        let mut clients = clients.into_iter();
        clients
            .find_map(|client| routes.get(client))
            .or_else(|| routes.get(""))
    }

    /// Whether anybody reaches `app` there.
    pub(super) fn leads_to(&self, app: &str, endpoint: &str) -> bool {
        let ends = self.ends.get(app);
        ends.is_some_and(|ends| ends.contains_key(endpoint))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Route> {
        self.by_app.iter().flat_map(|(app, routes)| {
            routes.iter().map(|(client, reference)| Route {
                client: client.clone(),
                app: app.clone(),
                reference: reference.clone(),
            })
        })
    }

    fn set(&mut self, client: &str, app: &str, reference: Reference) -> Option<Reference> {
        let ends = self.ends.entry(app.to_owned()).or_default();
        *ends.entry(reference.endpoint().to_owned()).or_default() += 1;
        let routes = self.by_app.entry(app.to_owned()).or_default();
        let before = routes.insert(client.to_owned(), reference);
        match &before {
            Some(before) => self.leads_no_more(app, before),
            None => self.count += 1,
        }
        before
    }

    fn leads_no_more(&mut self, app: &str, reference: &Reference) {
        let Some(ends) = self.ends.get_mut(app) else {
            return;
        };
        if let Some(count) = ends.get_mut(reference.endpoint()) {
            *count -= 1;
            if *count == 0 {
                ends.remove(reference.endpoint());
            }
        }
        if ends.is_empty() {
            self.ends.remove(app);
        }
    }

    fn remove(&mut self, client: &str, app: &str) -> bool {
        let Some(routes) = self.by_app.get_mut(app) else {
            return false;
        };
        let known = routes.remove(client);
        if routes.is_empty() {
            self.by_app.remove(app);
        }
        if let Some(reference) = &known {
            self.leads_no_more(app, reference);
            self.count -= 1;
        }
        known.is_some()
    }
}

/// The routes.
impl Book {
    /// Sets a route; contexts whose best route it is move there.
    pub(crate) fn associate(
        &mut self,
        client: &str,
        app: &str,
        server: &str,
        now_ms: u64,
    ) -> Result<(), RouteError> {
        if app.is_empty() {
            return Err(RouteError::NoApp);
        }
        if client.len() > MAX_BYTES || app.len() > MAX_BYTES {
            return Err(RouteError::TooLong);
        }
        let reference = Reference::parse(server).ok_or(RouteError::NoServer)?;
        let known = self.routes.get(client, app);
        if known == Some(&reference) {
            return Ok(());
        }
        if known.is_none() && self.routes.len() >= MAX_ROUTES {
            return Err(RouteError::Full);
        }
        self.effects.records.push(Record::Route(Route {
            client: client.to_owned(),
            app: app.to_owned(),
            reference: reference.clone(),
        }));
        self.routes.set(client, app, reference);
        self.rebind_app(app, now_ms);
        Ok(())
    }

    /// Removes a route; contexts that went there fall back to another. Returns whether
    /// there was one.
    pub(crate) fn dissociate(&mut self, client: &str, app: &str, now_ms: u64) -> bool {
        let known = self.routes.remove(client, app);
        if known {
            let key = (client.to_owned(), app.to_owned());
            self.effects.records.push(Record::NoRoute(key));
            self.rebind_app(app, now_ms);
        }
        known
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }
}
