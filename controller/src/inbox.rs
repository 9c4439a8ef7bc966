//! What one router's pusher has to know: filled by announcements without waiting, emptied by the pusher.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_transport::Endpoint;
use tokio::sync::Notify;

use crate::names::Route;
use crate::registry::Effect;
use crate::wishes::{Wish, Wishes};

/// Between those who know what a table ought to be and the task that sees to it.
#[derive(Debug)]
pub(crate) struct Inbox {
    content: Mutex<Content>,
    /// There is something new.
    pub(crate) wake: Notify,
}

#[derive(Debug)]
struct Content {
    table: Endpoint,
    moved: bool,
    announced: bool,
    reconcile: bool,
    wishes: Wishes,
    contact: Contact,
}

/// How the last attempt to reach the router went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Contact {
    /// There was none yet.
    None,
    /// It answered.
    Answers,
    /// It has not answered for this many attempts.
    Fails { attempts: u32, error: Arc<str> },
}

/// What the pusher takes from its inbox.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Where the table is served, if that has changed.
    pub(crate) moved: Option<Endpoint>,
    /// Whether the table has to be compared with what it ought to be.
    pub(crate) reconcile: bool,
    /// What shall become of single entries.
    pub(crate) wishes: Vec<(Route, Wish)>,
}

impl Inbox {
    /// For a router whose table is served at `table`.
    pub(crate) fn new(table: Endpoint) -> Self {
        let content = Content {
            table,
            moved: false,
            announced: false,
            reconcile: false,
            wishes: Wishes::default(),
            contact: Contact::None,
        };
        Self {
            content: Mutex::new(content),
            wake: Notify::new(),
        }
    }

    /// Takes note of what an event means for this router, all of it in one step.
    pub(crate) fn tell(&self, effects: &[Effect]) {
        let mut content = self.content();
        for effect in effects {
            match effect {
                Effect::Connect { table, .. } => {
                    if content.table != *table {
                        content.table = table.clone();
                        content.moved = true;
                    }
                    content.announced = true;
                }
                Effect::Install { entries, .. } => {
                    entries
                        .iter()
                        .for_each(|entry| content.wishes.install(entry));
                }
                Effect::Ensure { entries, .. } => {
                    entries
                        .iter()
                        .for_each(|entry| content.wishes.ensure(entry));
                }
                Effect::Remove { entries, .. } => {
                    entries
                        .iter()
                        .for_each(|entry| content.wishes.remove(entry));
                }
                Effect::Reconcile { .. } => content.reconcile = true,
                Effect::Disconnect { .. }
                | Effect::LambdaAdded(_)
                | Effect::LambdaRemoved(_)
                | Effect::ComputerAdded { .. }
                | Effect::ComputerRemoved { .. } => {}
            }
        }
        content.reconcile |= content.wishes.take_overflow();
        self.wake.notify_one();
    }

    /// Empties the inbox.
    pub(crate) fn take(&self) -> Taken {
        let mut content = self.content();
        let moved = std::mem::take(&mut content.moved);
        content.announced = false;
        Taken {
            moved: moved.then(|| content.table.clone()),
            reconcile: std::mem::take(&mut content.reconcile),
            wishes: content.wishes.take(),
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        let content = self.content();
        content.wishes.is_empty() && !content.reconcile
    }

    /// Whether the router has announced itself since the inbox was emptied: it
    /// should be there, and waiting for it any longer makes no sense.
    pub(crate) fn is_announced(&self) -> bool {
        self.content().announced
    }

    /// Where the table is served.
    pub(crate) fn table(&self) -> Endpoint {
        self.content().table.clone()
    }

    pub(crate) fn contact(&self) -> Contact {
        self.content().contact.clone()
    }

    pub(crate) fn set_contact(&self, contact: Contact) {
        self.content().contact = contact;
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Nothing that is done with it can leave it half changed.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
