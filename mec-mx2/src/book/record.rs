//! What is written down of the book, one line of JSON for each change, and read back.

use serde_json::{Value, json};

use super::context::{Caller, Context, Standing};
use super::{Book, ContextId, Place, Route};
use crate::model::{
    AppFilter, AppInfo, ContextRequest, Faults, Instance, LocationConstraints, Object, Profile,
    Reference,
};

/// One change. Applied again, in order, they make the same book; those of one kind and
/// subject replace each other.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    App(AppInfo),
    NoApp((String, String, String)),
    Route(Route),
    NoRoute((String, String)),
    Place(Place),
    NoPlace(String),
    Context(ContextId, Box<Value>),
    Gone(ContextId),
    Told(ContextId),
}

impl Record {
    pub(super) fn context(id: ContextId, context: &Context) -> Self {
        let legacy = context.request.profile == Profile::Legacy;
        let instances: Vec<_> = context.instances.iter().map(|i| i.to_json("")).collect();
        let value = json!({
            "legacy": legacy,
            "request": context.request.to_json(),
            // References as they are, without a scheme that was made up.
            "instances": instances,
            "references": context.instances.iter()
                .map(|i| i.reference.as_ref().map(Reference::as_str)).collect::<Vec<_>>(),
            "address": &*context.caller.address,
            "subject": context.caller.subject.as_deref(),
            "charge": context.charge,
            "told": context.told,
            "bound": context.was_bound,
            "seen": context.seen_ms,
        });
        Self::Context(id, Box::new(value))
    }

    /// As one line.
    pub(crate) fn to_line(&self) -> String {
        let value = match self {
            Self::App(app) => json!({"app": app.to_json(Profile::Standard, 0)}),
            Self::NoApp((name, provider, version)) => json!({"no-app": [name, provider, version]}),
            Self::Route(route) => {
                json!({"route": [route.client, route.app, route.reference.as_str()]})
            }
            Self::NoRoute((client, app)) => json!({"no-route": [client, app]}),
            Self::Place(place) => json!({"place": {
                "endpoint": place.reference.as_str(),
                "location": place.location.to_json(),
                "apps": place.apps,
            }}),
            Self::NoPlace(endpoint) => json!({"no-place": endpoint}),
            Self::Context(id, context) => json!({"context": id.to_string(), "value": context}),
            Self::Gone(id) => json!({"gone": id.to_string()}),
            Self::Told(id) => json!({"told": id.to_string()}),
        };
        let mut line = value.to_string();
        line.push('\n');
        line
    }
}

impl Book {
    /// Does again what a line says. Returns whether it says anything.
    pub(crate) fn replay(&mut self, line: &str, now_ms: u64) -> bool {
        let done = serde_json::from_str::<Value>(line)
            .ok()
            .and_then(|value| self.apply(&value, now_ms));
        // Nobody is told, and nothing is written down, of what has been before.
        self.effects = super::Effects::default();
        self.outboxes.clear();
        done.is_some()
    }

    fn apply(&mut self, value: &Value, now_ms: u64) -> Option<()> {
        let (kind, subject) = value
            .as_object()?
            .iter()
            .find(|(kind, _)| *kind != "value")?;
        let texts =
            || -> Option<Vec<&str>> { subject.as_array()?.iter().map(Value::as_str).collect() };
        match kind.as_str() {
            "app" => {
                let mut faults = Faults::default();
                let app = AppInfo::read(&Object::new(subject.as_object()?, ""), &mut faults)?;
                self.add_app(app).ok()?;
            }
            "no-app" => {
                let &[name, provider, version] = texts()?.as_slice() else {
                    return None;
                };
                self.remove_app(name, provider, version);
            }
            "route" => {
                let &[client, app, server] = texts()?.as_slice() else {
                    return None;
                };
                let is_known = self.routes.get(client, app).map(Reference::as_str) == Some(server);
                self.associate(client, app, server, now_ms).ok()?;
                if is_known {
                    // A context that an older line has brought back may not be there yet.
                    self.rebind_app(app, now_ms);
                }
            }
            "no-route" => {
                let &[client, app] = texts()?.as_slice() else {
                    return None;
                };
                self.dissociate(client, app, now_ms);
            }
            "place" => {
                let apps = subject.get("apps")?.as_array()?.iter();
                let place = Place {
                    reference: Reference::parse(subject.get("endpoint")?.as_str()?)?,
                    location: LocationConstraints::from_json(subject.get("location")?).ok()?,
                    apps: apps.filter_map(Value::as_str).map(str::to_owned).collect(),
                };
                self.set_place(place, now_ms).ok()?;
            }
            "no-place" => drop(self.remove_place(subject.as_str()?, now_ms)),
            "context" => {
                let id = ContextId::parse(subject.as_str()?)?;
                let context = context(value.get("value")?)?;
                self.remove(id);
                self.insert(id, context);
            }
            "gone" => self.remove(ContextId::parse(subject.as_str()?)?),
            "told" => {
                let id = ContextId::parse(subject.as_str()?)?;
                if let Some(context) = self.contexts.get_mut(&id) {
                    context.told = true;
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// After the last line: looks again where everybody is reached, and tells those who do
    /// not know.
    pub(crate) fn revalidate(&mut self, now_ms: u64) {
        let ids: Vec<_> = self.contexts.keys().copied().collect();
        for id in ids {
            if let Some(context) = self.contexts.get_mut(&id)
                && context.was_bound
                && !context.is_bound()
            {
                context.unserved_since_ms = Some(now_ms);
            }
            self.rebind(id, now_ms);
            self.tell_again(id);
        }
    }

    /// Lines that make this book.
    pub(crate) fn snapshot(&self) -> Vec<Record> {
        let all = AppFilter::default();
        let apps = self.apps(&all).map(|(app, _)| Record::App(app.clone()));
        let places = self.places().cloned().map(Record::Place);
        let contexts = self.contexts.iter().map(|(id, c)| Record::context(*id, c));
        let routes = self.routes.all().map(Record::Route);
        apps.chain(routes).chain(places).chain(contexts).collect()
    }
}

/// A context as [`Record::context`] wrote it.
fn context(value: &Value) -> Option<Context> {
    let profile = if value.get("legacy")?.as_bool()? {
        Profile::Legacy
    } else {
        Profile::Standard
    };
    let request = ContextRequest::from_json(value.get("request")?, profile).ok()?;
    let references = value.get("references")?.as_array()?;
    let instances = value.get("instances")?.as_array()?.iter().zip(references);
    let instances: Option<Vec<_>> = instances
        .map(|(instance, reference)| {
            let location = instance.get("appLocation");
            Some(Instance {
                id: instance.get("appInstanceId")?.as_str()?.to_owned(),
                location: match location {
                    None => None,
                    Some(place) => Some(LocationConstraints::from_json(place).ok()?),
                },
                reference: reference.as_str().and_then(Reference::parse),
            })
        })
        .collect();
    let instances = instances.filter(|instances| !instances.is_empty())?;
    Some(Context {
        caller: Caller {
            address: value.get("address")?.as_str()?.into(),
            subject: value.get("subject")?.as_str().map(Into::into),
        },
        app: request.name.as_str().into(),
        device_app: request.device_app.as_str().into(),
        charge: usize::try_from(value.get("charge")?.as_u64()?).ok()?,
        told: value.get("told")?.as_bool()?,
        was_bound: value.get("bound")?.as_bool()?,
        unserved_since_ms: None,
        seen_ms: value.get("seen")?.as_u64()?,
        standing: Standing::Reachable,
        held: false,
        fits: instances.iter().map(|_| None).collect(),
        instances,
        request,
    })
}
