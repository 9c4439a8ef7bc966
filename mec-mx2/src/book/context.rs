//! The life of a context: created, changed, deleted by its owner or by the system.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use serde_json::Value;

use super::fits::Fits;
use super::outbox::Message;
use super::{Book, ContextId, ContextView, Effects, Event, Place, Record};
use crate::model::{
    AppInfo, ContextRequest, Fault, Instance, InstanceRequest, Problem, Profile, Update,
};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The address that it comes from, as text without port.
    pub(crate) address: Arc<str>,
    /// Who it is, if clients have to say so.
    pub(crate) subject: Option<Arc<str>>,
}

/// Whose contexts are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Subject(Arc<str>),
    /// The network that one host has to itself.
    Address(IpAddr),
}

impl Caller {
    /// `None`: those on this machine, who do not say who they are.
    fn owner(&self) -> Option<Owner> {
        if let Some(subject) = &self.subject {
            return Some(Owner::Subject(subject.clone()));
        }
        let address = self.address.parse::<IpAddr>().ok()?.to_canonical();
        let network = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        };
        (!address.is_loopback()).then_some(Owner::Address(network))
    }
}

/// Whom the older interface takes for the same device application: who says so, and is the same
/// subject or, where nobody says who it is, asks from the same address.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Named {
    subject: Option<Arc<str>>,
    address: Option<Arc<str>>,
    device_app: Arc<str>,
}

impl Named {
    fn new(caller: &Caller, device_app: &Arc<str>) -> Self {
        let address = caller.subject.is_none().then(|| caller.address.clone());
        Self {
            subject: caller.subject.clone(),
            address,
            device_app: device_app.clone(),
        }
    }
}

/// Whether a context's device application can be told things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It answered, or was not asked yet.
    Reachable,
    /// It did not take a notification, in spite of all attempts.
    Unreachable { since_ms: u64, error: Arc<str> },
}

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) request: ContextRequest,
    pub(crate) instances: Vec<Instance>,
    pub(crate) caller: Caller,
    /// Of each instance that wants a place, where it may run, once that was found out.
    pub(super) fits: Vec<Option<Fits>>,
    pub(super) app: Arc<str>,
    pub(super) device_app: Arc<str>,
    /// Bytes that it counts for.
    pub(super) charge: usize,
    /// Whether the device application knows where its instances are.
    pub(super) told: bool,
    /// Whether any instance was ever reached anywhere.
    pub(super) was_bound: bool,
    /// Since when none of its instances is reached anywhere.
    pub(super) unserved_since_ms: Option<u64>,
    /// The last sign of life of the device application.
    pub(super) seen_ms: u64,
    pub(super) standing: Standing,
    /// The answer to its creation is still on its way: nothing may overtake it.
    pub(super) held: bool,
}

impl Context {
    pub(super) fn is_bound(&self) -> bool {
        self.instances.iter().any(|i| i.reference.is_some())
    }

    /// Takes note of what has become of the computer at `endpoint`, which may serve the application
    /// if it is at a `place`.
    pub(super) fn note_place(&mut self, endpoint: &Arc<str>, place: Option<&Place>) {
        for (instance, known) in self.instances.iter().zip(&mut self.fits) {
            if let (Some(fits), Some(wanted)) = (known.as_mut(), &instance.location) {
                let is_there = place.is_some_and(|place| wanted.admits(&place.location));
                if !fits.note(endpoint, is_there) {
                    *known = None;
                }
            }
        }
    }

    pub(super) fn view(&self, id: ContextId) -> ContextView {
        let endpoint = self.instances.first().and_then(|i| i.reference.as_ref());
        let (state, last_error) = match &self.standing {
            Standing::Unreachable { error, .. } => ("unreachable", error.clone()),
            Standing::Reachable if !self.was_bound => ("creating", "".into()),
            Standing::Reachable if !self.told => ("migrating", "".into()),
            Standing::Reachable => ("ready", "".into()),
        };
        ContextView {
            id,
            device_app: self.device_app.clone(),
            address: self.caller.address.clone(),
            subject: self.caller.subject.clone(),
            app: self.app.clone(),
            endpoint: endpoint.map_or("", |r| r.as_str()).into(),
            state,
            last_error,
        }
    }
}

impl Book {
    /// Creates a context; its notifications are held until [`Self::release`]. `charge` is
    /// what it counts for, in bytes. Returns its identifier and the answer.
    pub(crate) fn create(
        &mut self,
        request: ContextRequest,
        caller: Caller,
        charge: usize,
        scheme: &str,
        now_ms: u64,
    ) -> Result<(ContextId, Value), Problem> {
        self.has_room(&caller, charge)?;
        let Some(app) = self.find_app(&request) else {
            return Err(Problem::forbidden(match request.package_source {
                Some(_) => "applications from elsewhere are not taken in here",
                None => "no such application is in the list",
            }));
        };
        let app: Arc<str> = app.name.as_str().into();
        let (id, instances) = (ContextId::random(), request.instances.iter());
        let instances: Vec<_> = instances
            .map(|instance| Instance {
                id: ContextId::random().to_string(),
                location: instance.location.clone(),
                reference: None,
            })
            .collect();
        let mut context = Context {
            device_app: request.device_app.as_str().into(),
            fits: instances.iter().map(|_| None).collect(),
            instances,
            caller,
            app,
            charge,
            told: true,
            was_bound: false,
            unserved_since_ms: None,
            seen_ms: now_ms,
            standing: Standing::Reachable,
            held: true,
            request,
        };
        self.bind(&mut context);
        let waits = [
            context.request.auto_instantiation,
            context.request.location_updates,
        ];
        let complete = context.instances.iter().all(|i| i.reference.is_some());
        if !complete && !waits.contains(&Some(true)) {
            return Err(Problem::forbidden(
                "no computer serves the application there at the moment",
            ));
        }
        context.was_bound = context.is_bound();
        let answer = context
            .request
            .answer(&id.to_string(), &context.instances, scheme);
        self.effects.records.push(Record::context(id, &context));
        self.insert(id, context);
        self.present(id);
        Ok((id, answer))
    }

    fn has_room(&self, caller: &Caller, charge: usize) -> Result<(), Problem> {
        if self.contexts.len() >= self.bounds.contexts || self.bytes + charge > self.bounds.bytes {
            return Err(Problem::overloaded("there are too many contexts", 60));
        }
        let own = caller.owner().and_then(|owner| self.by_owner.get(&owner));
        if own.is_some_and(|own| *own >= self.bounds.contexts_per_owner) {
            return Err(Problem::forbidden("you have too many contexts"));
        }
        Ok(())
    }

    /// The application that a request means: by identifier of its description if that is
    /// known, else by name, provider and, if given, version.
    fn find_app(&self, request: &ContextRequest) -> Option<&AppInfo> {
        let from = (
            request.name.clone(),
            request.provider.clone(),
            String::new(),
        );
        let named = self.apps.range(from..).map(|(_, app)| app);
        let mut named = named
            .take_while(|app| app.name == request.name && app.provider == request.provider)
            .filter(|app| {
                let asked = request.soft_version.as_deref();
                // The reference's clients leave a version away that is empty.
                asked.map_or(
                    request.profile == Profile::Standard || app.soft_version.is_empty(),
                    |asked| asked == app.soft_version,
                )
            });
        match &request.d_id {
            Some(d_id) => named.find(|app| app.d_id == *d_id),
            None => named.last(),
        }
    }

    pub(super) fn insert(&mut self, id: ContextId, context: Context) {
        self.bytes += context.charge;
        self.by_app
            .entry(context.app.clone())
            .or_default()
            .insert(id);
        if let Some(owner) = context.caller.owner() {
            *self.by_owner.entry(owner).or_default() += 1;
        }
        if context.request.profile == Profile::Legacy {
            let named = Named::new(&context.caller, &context.device_app);
            self.by_device.entry(named).or_default().insert(id);
        }
        self.contexts.insert(id, context);
    }

    /// The answer to the creation has left: what happened since may follow it.
    pub(crate) fn release(&mut self, id: ContextId) {
        if let Some(context) = self.contexts.get_mut(&id) {
            context.held = false;
            self.wake(id);
        }
    }

    /// The context of that identifier, if it is the caller's.
    fn own(&self, id: ContextId, caller: &Caller) -> Option<&Context> {
        let context = self.contexts.get(&id)?;
        (context.caller.subject == caller.subject).then_some(context)
    }

    /// Whether there is such a context, and it is the caller's.
    pub(crate) fn has(&self, id: ContextId, caller: &Caller) -> bool {
        self.own(id, caller).is_some()
    }

    /// The context of the older interface that the caller made last for that device application.
    pub(crate) fn of_device_app(&self, device_app: &str, caller: &Caller) -> Option<ContextId> {
        let named = Named::new(caller, &device_app.into());
        let own = self.by_device.get(&named).into_iter().flatten();
        own.copied()
            .max_by_key(|id| self.contexts.get(id).map(|context| context.seen_ms))
    }

    /// What `request` would change of a context and cannot.
    pub(crate) fn unchangeable(
        &self,
        id: ContextId,
        request: &ContextRequest,
        caller: &Caller,
    ) -> Result<Vec<Fault>, Problem> {
        let unknown = || Problem::not_found("there is no such context");
        let known = self.own(id, caller).ok_or_else(unknown)?;
        Ok(request.changes_to(&known.request))
    }

    /// Changes a context's callback and places. Nothing else of it can change.
    pub(crate) fn update(
        &mut self,
        id: ContextId,
        update: Update,
        caller: &Caller,
        charge: usize,
        now_ms: u64,
    ) -> Result<(), Problem> {
        let unknown = || Problem::not_found("there is no such context");
        let known = self.own(id, caller).ok_or_else(unknown)?;
        let growth = charge.saturating_sub(known.charge);
        if self.bytes + growth > self.bounds.bytes {
            return Err(Problem::overloaded("there are too many contexts", 60));
        }
        let targets = targets(&known.instances, &update.instances)?;
        let Some(context) = self.contexts.get_mut(&id) else {
            return Err(unknown());
        };
        if let Some(callback) = update.callback {
            if let Some(outbox) = self.outboxes.get_mut(&id) {
                outbox.readdress(callback.clone());
            }
            context.request.callback = Some(callback);
        }
        for (target, instance) in targets.into_iter().zip(update.instances) {
            if instance.location.is_some()
                && context.instances[target].location != instance.location
            {
                context.instances[target].location = instance.location;
                context.fits[target] = None;
            }
        }
        self.bytes += growth;
        context.charge += growth;
        context.seen_ms = now_ms;
        context.standing = Standing::Reachable;
        self.rebind(id, now_ms);
        self.tell_again(id);
        if let Some(context) = self.contexts.get(&id) {
            let record = Record::context(id, context);
            self.effects.records.push(record);
        }
        self.present(id);
        Ok(())
    }

    /// Deletes a context for its owner, who needs not be told.
    pub(crate) fn delete(&mut self, id: ContextId, caller: &Caller) -> Result<(), Problem> {
        if self.own(id, caller).is_none() {
            return Err(Problem::not_found("there is no such context"));
        }
        self.forget(id);
        Ok(())
    }

    /// Deletes a context of which nobody knows.
    pub(crate) fn forget(&mut self, id: ContextId) {
        self.outboxes.remove(&id);
        self.remove(id);
    }

    /// Deletes a context on behalf of the system, and tells its owner. Returns whether
    /// there was one.
    pub(crate) fn withdraw(&mut self, id: ContextId) -> bool {
        let known = self.contexts.contains_key(&id);
        if known {
            self.tell(id, Message::Delete);
            self.remove(id);
        }
        known
    }

    pub(super) fn remove(&mut self, id: ContextId) {
        let Some(context) = self.contexts.remove(&id) else {
            return;
        };
        self.bytes -= context.charge;
        if let Some(others) = self.by_app.get_mut(&context.app) {
            others.remove(&id);
            if others.is_empty() {
                self.by_app.remove(&context.app);
            }
        }
        if let Some(owner) = context.caller.owner()
            && let Some(count) = self.by_owner.get_mut(&owner)
        {
            *count -= 1;
            if *count == 0 {
                self.by_owner.remove(&owner);
            }
        }
        let named = Named::new(&context.caller, &context.device_app);
        if let Some(others) = self.by_device.get_mut(&named) {
            others.remove(&id);
            if others.is_empty() {
                self.by_device.remove(&named);
            }
        }
        let Effects {
            records, events, ..
        } = &mut self.effects;
        records.push(Record::Gone(id));
        events.push(Event::Gone(id));
    }

    pub(super) fn contexts_of(&self, app: &str) -> Vec<ContextId> {
        let contexts = self.by_app.get(app);
        contexts.into_iter().flatten().copied().collect()
    }
}

/// Which instance each of the `wanted` means: by identifier, else by position.
fn targets(known: &[Instance], wanted: &[InstanceRequest]) -> Result<Vec<usize>, Problem> {
    let target = |(position, wanted): (usize, &InstanceRequest)| match &wanted.id {
        Some(id) => known.iter().position(|instance| instance.id == *id),
        None => (position < known.len()).then_some(position),
    };
    let targets: Option<_> = wanted.iter().enumerate().map(target).collect();
    targets.ok_or_else(|| Problem::malformed("the context has no such instance"))
}
