//! Which instance of a context is reached where, and who has to be told when that changes.

use super::context::Context;
use super::fits::Fits;
use super::outbox::Message;
use super::{Book, ContextId, Place};
use crate::model::{Profile, Reference};

impl Book {
    /// Finds out anew where all instances of an application are reached.
    pub(super) fn rebind_app(&mut self, app: &str, now_ms: u64) {
        for id in self.contexts_of(app) {
            self.rebind(id, now_ms);
        }
    }

    /// Finds out anew where the instances of a context are reached, and tells of changes.
    pub(super) fn rebind(&mut self, id: ContextId, now_ms: u64) {
        let Some(mut context) = self.contexts.remove(&id) else {
            return;
        };
        let before: Vec<_> = context
            .instances
            .iter()
            .map(|i| i.reference.clone())
            .collect();
        self.bind(&mut context);
        let changed: Vec<usize> = (0..before.len())
            .filter(|i| context.instances[*i].reference != before[*i])
            .collect();
        if changed.is_empty() {
            self.contexts.insert(id, context);
            return;
        }
        let first_time = !context.was_bound;
        let bound = context.is_bound();
        context.was_bound |= bound;
        context.unserved_since_ms =
            (!bound && context.was_bound).then(|| context.unserved_since_ms.unwrap_or(now_ms));
        let message = message(&context, &changed, first_time);
        if message.is_some() {
            context.told = context.request.callback.is_none();
        }
        self.contexts.insert(id, context);
        if let Some(message) = message {
            self.tell(id, message);
        }
        self.present(id);
    }

    /// Sets where the instances of `context` are reached.
    pub(super) fn bind(&self, context: &mut Context) {
        let device = format!("device:{}", context.request.device_app);
        let subject = context.caller.subject.as_ref();
        let subject = subject.map(|subject| format!("subject:{subject}"));
        let clients = [
            Some(device.as_str()),
            subject.as_deref(),
            Some(&*context.caller.address),
        ];
        let clients = clients.into_iter().flatten();
        let route = self.routes.best(clients, &context.app).cloned();
        let app = &*context.app;
        let serves = |endpoint: &str, place: &Place| self.serves(app, endpoint, place);
        for (instance, fits) in context.instances.iter_mut().zip(&mut context.fits) {
            let Some(wanted) = &instance.location else {
                instance.reference = route.clone();
                continue;
            };
            let fits = fits.get_or_insert_with(|| Fits::find(&self.places, app, wanted));
            let there = |reference: &Reference| {
                let endpoint = reference.endpoint();
                self.places.get(endpoint).is_some_and(|place| {
                    serves(endpoint, place) && fits.has(endpoint, place, wanted)
                })
            };
            let stays = || instance.reference.clone().filter(there);
            let any = || fits.first(&self.places, wanted, serves);
            let routed = route.clone().filter(there);
            instance.reference = routed
                .or_else(stays)
                .or_else(|| any().map(|place| place.reference.clone()));
        }
    }
}

/// What a device application is told when the `changed` of its instances did.
fn message(context: &Context, changed: &[usize], first_time: bool) -> Option<Message> {
    let reference = |index: usize| context.instances[index].reference.clone();
    match (context.request.profile, changed) {
        (Profile::Legacy, _) => reference(0).map(Message::Legacy),
        (Profile::Standard, [only]) if !first_time => {
            reference(*only).map(|reference| Message::AddressChange {
                instance: *only,
                reference,
            })
        }
        _ => context.is_bound().then_some(Message::Update),
    }
}
