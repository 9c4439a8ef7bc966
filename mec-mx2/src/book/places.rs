//! Where computers are, and which applications can run there.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::outbox::Message;
use super::{Book, MAX_PLACES, Record};
use crate::model::{LocationConstraints, Problem, Reference};

/// Where a computer is, and what it serves.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Where it is reached.
    pub reference: Reference,
    /// Where it is.
    pub location: LocationConstraints,
    /// The applications that it serves, by name; none: those that routes lead there for.
    pub apps: Vec<String>,
}

impl Place {
    /// Whether it serves `app`, or would if a route led there.
    pub(super) fn may_serve(&self, app: &str) -> bool {
        self.apps.is_empty() || self.apps.iter().any(|served| served == app)
    }
}

/// Applications that one place may name.
const MAX_APPS_OF_PLACE: usize = 1024;

impl Book {
    /// Says where a computer is. Contexts that wait for an application there get it, or
    /// are told that they may have it.
    pub(crate) fn set_place(&mut self, place: Place, now_ms: u64) -> Result<(), Problem> {
        if place.apps.len() > MAX_APPS_OF_PLACE {
            return Err(Problem::malformed(
                "a computer may serve at most 1024 applications",
            ));
        }
        let endpoint: Arc<str> = place.reference.endpoint().into();
        match self.places.get(&endpoint) {
            Some(known) if *known == place => return Ok(()),
            None if self.places.len() >= MAX_PLACES => {
                return Err(Problem::overloaded("there are too many places", 60));
            }
            _ => {}
        }
        let apps: BTreeSet<String> = self.by_app.keys().map(ToString::to_string).collect();
        let before = self.available_of(&apps);
        self.effects.records.push(Record::Place(place.clone()));
        let new = place.clone();
        let known = self.places.insert(endpoint.clone(), place);
        for (app, before) in apps.iter().zip(before) {
            let after = self.available(app);
            if after != before {
                self.announce(app, &before, &after);
            }
            if new.may_serve(app) || known.as_ref().is_some_and(|known| known.may_serve(app)) {
                self.note_place(&endpoint, app);
                self.rebind_app(app, now_ms);
            }
        }
        Ok(())
    }

    /// Forgets where a computer is. Returns whether it was known.
    pub(crate) fn remove_place(&mut self, endpoint: &str, now_ms: u64) -> bool {
        let Some(place) = self.places.remove(endpoint) else {
            return false;
        };
        self.effects
            .records
            .push(Record::NoPlace(endpoint.to_owned()));
        let apps: Vec<_> = self.by_app.keys().cloned().collect();
        let endpoint: Arc<str> = endpoint.into();
        for app in apps {
            if place.may_serve(&app) {
                self.note_place(&endpoint, &app);
                self.rebind_app(&app, now_ms);
            }
        }
        true
    }

    /// Tells the contexts of an application what has become of the computer at `endpoint`.
    fn note_place(&mut self, endpoint: &Arc<str>, app: &str) {
        let place = self.places.get(endpoint);
        let place = place.filter(|place| place.may_serve(app));
        for id in self.by_app.get(app).into_iter().flatten() {
            if let Some(context) = self.contexts.get_mut(id) {
                context.note_place(endpoint, place);
            }
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.values()
    }

    /// The places at which `app` can run, each once.
    pub(crate) fn available(&self, app: &str) -> Vec<LocationConstraints> {
        // Compared as text, since each with each takes too long where they are many.
        let mut known = HashSet::new();
        let places = self.places.iter();
        places
            .filter(|(endpoint, place)| self.serves(app, endpoint, place))
            .filter(|(_, place)| known.insert(place.location.to_json().to_string()))
            .map(|(_, place)| place.location.clone())
            .collect()
    }

    /// Whether the computer at `endpoint`, which is at `place`, serves `app`.
    pub(super) fn serves(&self, app: &str, endpoint: &str, place: &Place) -> bool {
        if place.apps.is_empty() {
            self.routes.leads_to(app, endpoint)
        } else {
            place.may_serve(app)
        }
    }

    fn available_of(&self, apps: &BTreeSet<String>) -> Vec<Vec<LocationConstraints>> {
        apps.iter().map(|app| self.available(app)).collect()
    }

    /// Tells those who want to know which places have become available.
    fn announce(
        &mut self,
        app: &str,
        before: &[LocationConstraints],
        after: &[LocationConstraints],
    ) {
        let new: Vec<_> = after
            .iter()
            .filter(|place| !before.contains(place))
            .collect();
        if new.is_empty() {
            return;
        }
        for id in self.contexts_of(app) {
            let Some(context) = self.contexts.get(&id) else {
                continue;
            };
            if context.request.location_updates != Some(true) {
                continue;
            }
            let wanted = |place: &LocationConstraints| {
                let mut instances = context.instances.iter();
                instances.any(|i| {
                    i.location
                        .as_ref()
                        .is_none_or(|wanted| wanted.admits(place))
                })
            };
            let told: Vec<_> = new.iter().copied().filter(|p| wanted(p)).cloned().collect();
            if !told.is_empty() {
                self.tell(id, Message::Availability(told.into()));
            }
        }
    }
}
