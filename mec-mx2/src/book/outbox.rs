//! What device applications have yet to be told: in order, bounded, one attempt at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Book, ContextId, Event, Record, Standing};
use crate::model::{CallbackUri, Instance, LocationConstraints, Notification, Profile, Reference};

/// A notification, as small as it can be kept.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Legacy(Reference),
    AddressChange {
        instance: usize,
        reference: Reference,
    },
    /// Where all instances are, when it is sent.
    Update,
    Availability(Arc<[LocationConstraints]>),
    Delete,
}

impl Message {
    /// Whether what follows it makes it worthless.
    fn is_of_the_moment(&self) -> bool {
        matches!(
            self,
            Self::Legacy(_) | Self::AddressChange { .. } | Self::Update
        )
    }
}

/// What waits for one context.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: VecDeque<Message>,
    /// Somebody sees to it.
    busy: bool,
    attempts: u32,
    /// Copied, since the context may be gone before it was told so.
    callback: CallbackUri,
    /// The address that the context was created from.
    address: Arc<str>,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Sends what waits somewhere else.
    pub(super) fn readdress(&mut self, callback: CallbackUri) {
        self.callback = callback;
        self.attempts = 0;
    }
}

/// One attempt to make.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) callback: CallbackUri,
    pub(crate) notification: Notification,
    pub(crate) address: Arc<str>,
    /// Attempts that were made before.
    pub(crate) attempts: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It arrived.
    Delivered,
    /// The receiver says that the context is of no interest any more.
    Gone,
    /// It did not arrive; it may be tried again.
    Failed(Arc<str>),
    /// It did not arrive, in spite of all attempts or for good.
    GivenUp(Arc<str>),
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Take the next one.
    Next,
    /// Try the same again after a pause.
    Again,
    /// Nothing waits.
    Idle,
}

impl Book {
    /// Puts a message behind what waits for the context already.
    pub(super) fn tell(&mut self, id: ContextId, message: Message) {
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        let Some(callback) = &context.request.callback else {
            return;
        };
        if context.request.profile == Profile::Legacy && !matches!(message, Message::Legacy(_)) {
            // Its first version has no word for it.
            return;
        }
        let outbox = self.outboxes.entry(id).or_insert_with(|| Outbox {
            queue: VecDeque::new(),
            busy: false,
            attempts: 0,
            callback: callback.clone(),
            address: context.caller.address.clone(),
        });
        outbox.callback = callback.clone();
        if outbox.queue.len() >= self.bounds.queue {
            // The first is under way; the oldest address behind it has been overtaken.
            let mut behind = outbox
                .queue
                .iter()
                .enumerate()
                .skip(usize::from(outbox.busy));
            match behind.find(|(_, m)| m.is_of_the_moment()).map(|(i, _)| i) {
                Some(oldest) => drop(outbox.queue.remove(oldest)),
                None if matches!(message, Message::Delete) => {}
                None => return,
            }
        }
        outbox.queue.push_back(message);
        self.wake(id);
    }

    /// Tells a context where its instances are, unless it knows or will be told anyway.
    pub(super) fn tell_again(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(&id) else {
            return;
        };
        let waiting = self.outboxes.get(&id).is_some_and(|o| !o.queue.is_empty());
        if context.told || waiting || !context.is_bound() {
            return;
        }
        let first = context.instances.first().and_then(|i| i.reference.clone());
        let message = match (context.request.profile, first) {
            (Profile::Legacy, Some(reference)) => Message::Legacy(reference),
            (Profile::Standard, Some(reference)) if context.instances.len() == 1 => {
                Message::AddressChange {
                    instance: 0,
                    reference,
                }
            }
            _ => Message::Update,
        };
        self.tell(id, message);
    }

    /// Asks for delivery if something waits and nobody sees to it.
    pub(super) fn wake(&mut self, id: ContextId) {
        let held = self.contexts.get(&id).is_some_and(|context| context.held);
        if let Some(outbox) = self.outboxes.get_mut(&id)
            && !outbox.busy
            && !outbox.queue.is_empty()
            && !held
        {
            outbox.busy = true;
            self.effects.wake.push(id);
        }
    }

    /// The attempt to make now, by the one who was woken.
    pub(crate) fn next_job(&mut self, id: ContextId) -> Option<Job> {
        loop {
            let outbox = self.outboxes.get_mut(&id)?;
            let Some(message) = outbox.queue.front() else {
                self.outboxes.remove(&id);
                return None;
            };
            let (callback, address) = (outbox.callback.clone(), outbox.address.clone());
            let attempts = outbox.attempts;
            let instances = self.contexts.get(&id).map_or(&[][..], |c| &c.instances);
            if let Some(notification) = render(id, message, instances) {
                return Some(Job {
                    callback,
                    notification,
                    address,
                    attempts,
                });
            }
            // Nothing is left to say.
            outbox.queue.pop_front();
        }
    }

    /// Takes note of what became of an attempt.
    pub(crate) fn settle(&mut self, id: ContextId, outcome: Outcome, now_ms: u64) -> Settled {
        let Some(outbox) = self.outboxes.get_mut(&id) else {
            return Settled::Idle;
        };
        match outcome {
            Outcome::Failed(error) => {
                outbox.attempts += 1;
                tracing::debug!(context = %id, %error, "a notification did not arrive");
                return Settled::Again;
            }
            Outcome::Delivered => {
                outbox.attempts = 0;
                outbox.queue.pop_front();
                let up_to_date = !outbox.queue.iter().any(Message::is_of_the_moment);
                self.delivered(id, up_to_date, now_ms);
            }
            Outcome::Gone => {
                self.outboxes.remove(&id);
                self.remove(id);
                return Settled::Idle;
            }
            Outcome::GivenUp(error) => {
                // What waits behind it would fare no better. Where its instances are, the
                // device application is told with the next change.
                self.outboxes.remove(&id);
                self.given_up(id, error, now_ms);
                return Settled::Idle;
            }
        }
        match self.outboxes.get(&id) {
            Some(outbox) if !outbox.queue.is_empty() => Settled::Next,
            _ => {
                self.outboxes.remove(&id);
                Settled::Idle
            }
        }
    }

    fn delivered(&mut self, id: ContextId, up_to_date: bool, now_ms: u64) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        context.seen_ms = now_ms;
        context.standing = Standing::Reachable;
        if up_to_date && !context.told {
            context.told = true;
            self.effects.records.push(Record::Told(id));
        }
        self.present(id);
    }

    fn given_up(&mut self, id: ContextId, error: Arc<str>, now_ms: u64) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let since_ms = match context.standing {
            Standing::Unreachable { since_ms, .. } => since_ms,
            Standing::Reachable => now_ms,
        };
        context.standing = Standing::Unreachable { since_ms, error };
        let view = context.view(id);
        self.effects.events.push(Event::Present(view));
    }
}

/// The notification, or `None` if there is nothing to say any more.
fn render(id: ContextId, message: &Message, instances: &[Instance]) -> Option<Notification> {
    let context_id = id.to_string();
    Some(match message {
        Message::Legacy(reference) => Notification::Legacy {
            reference: reference.clone(),
        },
        Message::AddressChange {
            instance,
            reference,
        } => Notification::AddressChange {
            context_id,
            instance_id: instances.get(*instance)?.id.clone(),
            reference: reference.clone(),
        },
        Message::Update => {
            let bound = instances.iter().filter(|i| i.reference.is_some());
            let instances: Vec<_> = bound.cloned().collect();
            if instances.is_empty() {
                return None;
            }
            Notification::ContextUpdate {
                context_id,
                instances,
            }
        }
        Message::Availability(places) => Notification::LocationAvailability {
            context_id: Some(context_id),
            locations: places.to_vec(),
        },
        Message::Delete => Notification::ContextDelete { context_id },
    })
}
