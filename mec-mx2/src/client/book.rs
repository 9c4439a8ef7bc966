//! What a device knows of its contexts, so that no notification is lost or taken for another's.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::model::{Notification, Reference};

/// The contexts of a device, by identifier of its device application.
#[derive(Debug, Default)]
pub(super) struct Contexts(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    /// `None` until the answer to the creation is there.
    context_id: Option<String>,
    reference: watch::Sender<Option<Reference>>,
    lost: std::sync::Arc<Notify>,
    /// What was heard before that answer, which is older.
    early: Option<Reference>,
    gone_early: bool,
}

/// What to answer a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It concerns a context.
    Taken,
    /// Nobody here knows what it is about.
    Unknown,
}

impl Contexts {
    /// Expects notifications for `device_app`, before its context is asked for.
    pub(super) fn expect(
        &self,
        device_app: &str,
        lost: std::sync::Arc<Notify>,
    ) -> watch::Receiver<Option<Reference>> {
        let (sender, receiver) = watch::channel(None);
        let entry = Entry {
            context_id: None,
            reference: sender,
            lost,
            early: None,
            gone_early: false,
        };
        self.lock().insert(device_app.to_owned(), entry);
        receiver
    }

    /// A new context is going to be asked for.
    pub(super) fn renew(&self, device_app: &str) {
        if let Some(entry) = self.lock().get_mut(device_app) {
            entry.context_id = None;
            entry.early = None;
            entry.gone_early = false;
        }
    }

    /// The answer to the creation is there.
    pub(super) fn created(&self, device_app: &str, context_id: &str, reference: Option<Reference>) {
        if let Some(entry) = self.lock().get_mut(device_app) {
            entry.context_id = Some(context_id.to_owned());
            let now = entry.early.take().or(reference);
            if now.is_some() {
                entry.reference.send_replace(now);
            }
            if entry.gone_early {
                entry.lost.notify_one();
            }
        }
    }

    pub(super) fn context_id(&self, device_app: &str) -> Option<String> {
        self.lock().get(device_app)?.context_id.clone()
    }

    pub(super) fn forget(&self, device_app: &str) {
        self.lock().remove(device_app);
    }

    /// A notification came for `device_app`.
    pub(super) fn hear(&self, device_app: &str, notification: Notification) -> Heard {
        let mut contexts = self.lock();
        let Some(entry) = contexts.get_mut(device_app) else {
            return Heard::Unknown;
        };
        let about = match &notification {
            Notification::AddressChange { context_id, .. }
            | Notification::ContextDelete { context_id }
            | Notification::ContextUpdate { context_id, .. } => Some(context_id),
            Notification::LocationAvailability { context_id, .. } => context_id.as_ref(),
            Notification::Legacy { .. } => None,
        };
        // Of a context that has been replaced.
        if let (Some(about), Some(own)) = (about, &entry.context_id)
            && about != own
        {
            return Heard::Taken;
        }
        let reference = match notification {
            Notification::AddressChange { reference, .. } | Notification::Legacy { reference } => {
                Some(reference)
            }
            Notification::ContextUpdate { instances, .. } => instances
                .into_iter()
                .find_map(|instance| instance.reference),
            Notification::ContextDelete { .. } => {
                if entry.context_id.is_some() {
                    entry.lost.notify_one();
                } else {
                    entry.gone_early = true;
                }
                None
            }
            Notification::LocationAvailability { .. } => None,
        };
        if let Some(reference) = reference {
            if entry.context_id.is_some() {
                entry.reference.send_replace(Some(reference));
            } else {
                entry.early = Some(reference);
            }
        }
        Heard::Taken
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    fn change(context: &str, to: &str) -> Notification {
        Notification::AddressChange {
            context_id: context.to_owned(),
            instance_id: "i".to_owned(),
            reference: reference(to),
        }
    }

    #[test]
    fn a_notification_that_overtakes_the_answer_is_newer_than_it() {
        let contexts = Contexts::default();
        let seen = contexts.expect("d", std::sync::Arc::default());
        assert_eq!(contexts.hear("d", change("c", "new:1")), Heard::Taken);
        assert_eq!(*seen.borrow(), None);
        contexts.created("d", "c", Some(reference("old:1")));
        assert_eq!(*seen.borrow(), Some(reference("new:1")));
    }

    #[test]
    fn notifications_of_others_and_of_earlier_contexts_change_nothing() {
        let contexts = Contexts::default();
        let seen = contexts.expect("d", std::sync::Arc::default());
        contexts.created("d", "c", Some(reference("a:1")));
        assert_eq!(contexts.hear("x", change("c", "b:1")), Heard::Unknown);
        assert_eq!(contexts.hear("d", change("earlier", "b:1")), Heard::Taken);
        assert_eq!(*seen.borrow(), Some(reference("a:1")));
        contexts.hear(
            "d",
            Notification::Legacy {
                reference: reference("c:1"),
            },
        );
        assert_eq!(*seen.borrow(), Some(reference("c:1")));
    }
}
