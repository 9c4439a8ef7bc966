//! Where computers are, and which applications can run there.

use std::collections::BTreeSet;

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
        let endpoint = place.reference.endpoint().to_owned();
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
        let known = self.places.insert(endpoint, place);
        for (app, before) in apps.iter().zip(before) {
            let after = self.available(app);
            if after != before {
                self.announce(app, &before, &after);
            }
            let served = |place: &Place| place.apps.is_empty() || place.apps.contains(app);
            if served(&new) || known.as_ref().is_some_and(served) {
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
        for app in apps {
            if place.apps.is_empty() || place.apps.iter().any(|served| **served == *app) {
                self.rebind_app(&app, now_ms);
            }
        }
        true
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.values()
    }

    /// The places at which `app` can run, each once.
    pub(crate) fn available(&self, app: &str) -> Vec<LocationConstraints> {
        let mut places: Vec<LocationConstraints> = Vec::new();
        for place in self.places_of(app) {
            if !places.contains(&place.location) {
                places.push(place.location.clone());
            }
        }
        places
    }

    /// The computers that serve `app` and of which is known where they are.
    pub(super) fn places_of(&self, app: &str) -> impl Iterator<Item = &Place> {
        self.places.iter().filter_map(move |(endpoint, place)| {
            let serves = if place.apps.is_empty() {
                self.routes.leads_to(app, endpoint)
            } else {
                place.apps.iter().any(|served| served == app)
            };
            serves.then_some(place)
        })
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
