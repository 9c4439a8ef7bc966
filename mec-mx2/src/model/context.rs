//! Application contexts: what device applications ask for, and what they get.

use serde_json::{Map, Value, json};

use super::location::{LocationConstraints, MAX_POINTS};
use super::problem::{Fault, Problem};
use super::reader::{Faults, Object, parse_object};
use super::uri::{CallbackUri, Reference};
use super::{
    MAX_DESCRIPTION_CHARS, MAX_INSTANCES, MAX_LEGACY_ID_CHARS, MAX_NAME_CHARS, MAX_URI_BYTES,
};

const WRAPPERS: [&str; 2] = ["AppContext", "appContext"];

/// Which of the two interfaces a client uses, and so the shape of what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `/dev_app/v1`: MEC 016, version 2.2.1.
    Standard,
    /// `/mx2/v1`, as the C++ reference speaks it.
    Legacy,
}

/// An instance that is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceRequest {
    /// Which of the instances of a known context is meant; not in requests to create one.
    pub id: Option<String>,
    /// Where it shall run; `None`: anywhere.
    pub location: Option<LocationConstraints>,
}

/// A request to create or change a context.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextRequest {
    /// Who writes.
    pub profile: Profile,
    /// The context, if the request says which; without meaning when creating one.
    pub context_id: Option<String>,
    /// The device application.
    pub device_app: String,
    /// Where it is notified; `None`: nowhere.
    pub callback: Option<CallbackUri>,
    /// Whether it wants to hear of places that become available.
    pub location_updates: Option<bool>,
    /// Whether instances shall be made when their places become available.
    pub auto_instantiation: Option<bool>,
    /// Identifier of the application's description.
    pub d_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// Its version.
    pub soft_version: Option<String>,
    /// Version of its description; not in the older shape.
    pub d_version: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Where its package is, if it is not in the list.
    pub package_source: Option<String>,
    /// At least one.
    pub instances: Vec<InstanceRequest>,
}

/// What a PUT may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The new callback, if the request has one.
    pub callback: Option<CallbackUri>,
    /// The new places.
    pub instances: Vec<InstanceRequest>,
}

/// An instance that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its identifier.
    pub id: String,
    /// Where it shall run.
    pub location: Option<LocationConstraints>,
    /// Where it is reached; `None`: not instantiated, or nowhere at the moment.
    pub reference: Option<Reference>,
}

/// The answer to a creation as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The context's identifier.
    pub context_id: String,
    /// Of each instance, its identifier and where it is reached. The older shape knows
    /// one, without identifier.
    pub instances: Vec<(Option<String>, Option<Reference>)>,
}

impl ContextRequest {
    /// Reads a body, wrapped or bare.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(body: &[u8], profile: Profile) -> Result<Self, Problem> {
        let (members, pointer) = parse_object(body, &WRAPPERS)?;
        let mut faults = Faults::default();
        let read = Self::read(&Object::new(&members, pointer), profile, &mut faults);
        faults.none_or(read)
    }

    /// Reads what [`Self::to_json`] wrote.
    pub(crate) fn from_json(value: &Value, profile: Profile) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let Value::Object(members) = value else {
            return Err(Problem::malformed("must be an object"));
        };
        let read = Self::read(&Object::new(members, ""), profile, &mut faults);
        faults.none_or(read)
    }

    fn read(context: &Object<'_>, profile: Profile, faults: &mut Faults) -> Option<Self> {
        let id_names = ["associateDevAppId", "associateUeAppId"];
        let (id_names, id_chars) = match profile {
            Profile::Standard => (id_names, MAX_NAME_CHARS),
            Profile::Legacy => ([id_names[1], id_names[0]], MAX_LEGACY_ID_CHARS),
        };
        let device_app = context.required_text(&id_names, id_chars, faults);
        let context_id = context.text("contextId", MAX_NAME_CHARS, faults);
        let callback = match context.text("callbackReference", MAX_URI_BYTES, faults) {
            None => None,
            // The C++ reference sends it, and skips notifications then.
            Some("") if profile == Profile::Legacy => None,
            Some(text) => match CallbackUri::parse(text) {
                Ok(uri) => Some(uri),
                Err(reason) => {
                    faults.add(context.at("callbackReference"), reason);
                    None
                }
            },
        };
        let location_updates = context.boolean("appLocationUpdates", faults);
        let auto_instantiation = context.boolean("appAutoInstantiation", faults);
        if location_updates == Some(true) && auto_instantiation == Some(true) {
            faults.add(
                context.at("appAutoInstantiation"),
                "must not be true together with appLocationUpdates",
            );
        }
        let info = context.required_object("appInfo", faults)?;
        let name = info.required_text(&["appName"], MAX_NAME_CHARS, faults);
        let provider = info.required_text(&["appProvider"], MAX_NAME_CHARS, faults);
        let soft_version = info.text("appSoftVersion", MAX_NAME_CHARS, faults);
        let description = info.text("appDescription", MAX_DESCRIPTION_CHARS, faults);
        let d_id = info.text("appDId", MAX_URI_BYTES, faults);
        let d_version = match profile {
            Profile::Standard => info.required_text(&["appDVersion"], MAX_URI_BYTES, faults),
            Profile::Legacy => info.text("appDVersion", MAX_URI_BYTES, faults),
        };
        let package_source = info.text("appPackageSource", MAX_URI_BYTES, faults);
        if profile == Profile::Standard
            && let Some(source) = package_source
            && let Err(reason) = CallbackUri::parse(source)
        {
            faults.add(info.at("appPackageSource"), reason);
        }
        let instances = match profile {
            Profile::Standard => instances(&info, faults),
            Profile::Legacy => {
                for (member, what) in [
                    ("referenceURI", "is only for answers"),
                    ("referenceURL", "is only for answers"),
                    ("appCharcs", "is only for lists"),
                ] {
                    if info.get(member).is_some() {
                        faults.add(info.at(member), what);
                    }
                }
                vec![InstanceRequest::default()]
            }
        };
        Some(Self {
            profile,
            context_id: context_id.map(str::to_owned),
            device_app: device_app?.to_owned(),
            callback,
            location_updates,
            auto_instantiation,
            d_id: d_id.map(str::to_owned),
            name: name?.to_owned(),
            provider: provider?.to_owned(),
            soft_version: soft_version.map(str::to_owned),
            d_version: d_version.map(str::to_owned),
            description: description.map(str::to_owned),
            package_source: package_source.map(str::to_owned),
            instances,
        })
    }

    /// As it came, in the shape of its profile: what a client sends.
    pub fn to_json(&self) -> Value {
        self.with_instances(None, |info| {
            let places = self.instances.iter().map(|instance| {
                let mut object = Map::new();
                if let Some(place) = &instance.location {
                    object.insert("appLocation".to_owned(), place.to_json());
                }
                Value::Object(object)
            });
            if self.profile == Profile::Standard {
                info.insert("userAppInstanceInfo".to_owned(), places.collect());
            }
        })
    }

    /// The answer to it. References without a scheme get `scheme` in the standard profile.
    pub(crate) fn answer(&self, context_id: &str, instances: &[Instance], scheme: &str) -> Value {
        self.with_instances(Some(context_id), |info| match self.profile {
            Profile::Legacy => {
                let reference = instances.first().and_then(|i| i.reference.as_ref());
                let reference = reference.map_or("", Reference::as_str);
                info.insert("referenceURI".to_owned(), json!(reference));
            }
            Profile::Standard => {
                let instances = instances.iter().map(|i| i.to_json(scheme));
                info.insert("userAppInstanceInfo".to_owned(), instances.collect());
            }
        })
    }

    fn with_instances(
        &self,
        context_id: Option<&str>,
        instances: impl FnOnce(&mut Map<String, Value>),
    ) -> Value {
        let mut info = Map::new();
        for (key, text) in [
            ("appDId", self.d_id.as_deref()),
            ("appName", Some(self.name.as_str())),
            ("appProvider", Some(self.provider.as_str())),
            ("appSoftVersion", self.soft_version.as_deref()),
            ("appDVersion", self.d_version.as_deref()),
            ("appDescription", self.description.as_deref()),
            ("appPackageSource", self.package_source.as_deref()),
        ] {
            if let Some(text) = text {
                info.insert(key.to_owned(), json!(text));
            }
        }
        instances(&mut info);
        let mut context = Map::new();
        if let Some(id) = context_id {
            context.insert("contextId".to_owned(), json!(id));
        }
        let id = match self.profile {
            Profile::Standard => "associateDevAppId",
            Profile::Legacy => "associateUeAppId",
        };
        context.insert(id.to_owned(), json!(self.device_app));
        if let Some(callback) = &self.callback {
            context.insert("callbackReference".to_owned(), json!(callback.as_str()));
        }
        for (key, value) in [
            ("appLocationUpdates", self.location_updates),
            ("appAutoInstantiation", self.auto_instantiation),
        ] {
            if let Some(value) = value {
                context.insert(key.to_owned(), json!(value));
            }
        }
        context.insert("appInfo".to_owned(), Value::Object(info));
        Value::Object(context)
    }

    /// What of `known` would be another value, one fault for each; the callback and the instances
    /// may be, and what is not said is not another.
    pub(crate) fn changes_to(&self, known: &Self) -> Vec<Fault> {
        let (given, known) = (self.to_json(), known.to_json());
        let mut faults = Faults::default();
        for (place, may_change) in [
            ("", "callbackReference"),
            ("/appInfo", "userAppInstanceInfo"),
        ] {
            let Some(Value::Object(members)) = given.pointer(place) else {
                continue;
            };
            for (key, value) in members {
                let at = format!("{place}/{key}");
                if key != may_change && !value.is_object() && known.pointer(&at) != Some(value) {
                    faults.add(at, "cannot be changed");
                }
            }
        }
        faults.found()
    }

    /// What of it a PUT may change.
    pub fn into_update(self) -> Update {
        Update {
            callback: self.callback,
            instances: self.instances,
        }
    }
}

fn instances(info: &Object<'_>, faults: &mut Faults) -> Vec<InstanceRequest> {
    let at = info.at("userAppInstanceInfo");
    let Some(objects) = info.objects("userAppInstanceInfo", faults) else {
        if info.get("userAppInstanceInfo").is_none() {
            faults.add(at, "is required");
        }
        return Vec::new();
    };
    if objects.is_empty() || objects.len() > MAX_INSTANCES {
        faults.add(at, "must have from 1 to 16 instances");
        return Vec::new();
    }
    let read = objects.iter().map(|instance| {
        let id = instance.text("appInstanceId", MAX_URI_BYTES, faults);
        let location = instance
            .object("appLocation", faults)
            .and_then(|place| LocationConstraints::read(&place, faults));
        InstanceRequest {
            id: id.map(str::to_owned),
            location,
        }
    });
    let read: Vec<_> = read.collect();
    let points = read
        .iter()
        .filter_map(|instance| instance.location.as_ref());
    if points.map(LocationConstraints::num_points).sum::<usize>() > MAX_POINTS {
        faults.add(at, "must have areas of at most 1024 points, all together");
    }
    read
}

impl Instance {
    pub(crate) fn to_json(&self, scheme: &str) -> Value {
        let mut object = Map::new();
        object.insert("appInstanceId".to_owned(), json!(self.id));
        if let Some(reference) = &self.reference {
            object.insert("referenceURI".to_owned(), json!(reference.to_uri(scheme)));
        }
        if let Some(place) = &self.location {
            object.insert("appLocation".to_owned(), place.to_json());
        }
        Value::Object(object)
    }
}

impl Reply {
    /// Reads the answer to a creation, of any shape.
    ///
    /// # Errors
    /// If there is no context in it.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let (members, pointer) = parse_object(body, &WRAPPERS)?;
        let context = Object::new(&members, pointer);
        let mut faults = Faults::default();
        let context_id = context.required_text(&["contextId"], MAX_URI_BYTES, &mut faults);
        let info = context.required_object("appInfo", &mut faults);
        let instances = info.map(
            |info| match info.objects("userAppInstanceInfo", &mut faults) {
                Some(objects) => {
                    let read = objects.iter().map(|o| {
                        let id = o.text("appInstanceId", MAX_URI_BYTES, &mut faults);
                        (id.map(str::to_owned), reference(o, &mut faults))
                    });
                    read.collect()
                }
                None => vec![(None, reference(&info, &mut faults))],
            },
        );
        let reply = context_id.zip(instances).map(|(id, instances)| Self {
            context_id: id.to_owned(),
            instances,
        });
        faults.none_or(reply)
    }
}

/// A reference under either of its names.
pub(super) fn reference(object: &Object<'_>, faults: &mut Faults) -> Option<Reference> {
    let names = ["referenceURI", "referenceURL"];
    Reference::parse(object.any_text(&names, MAX_URI_BYTES, faults)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard() -> Value {
        json!({
            "associateDevAppId": "dev-1",
            "callbackReference": "http://127.0.0.1:6600/dev-1",
            "appLocationUpdates": true,
            "appInfo": {
                "appName": "clambda0", "appProvider": "OpenLambdaMec", "appDVersion": "1.0",
                "userAppInstanceInfo": [{"appLocation": {"countryCode": "IT"}}]
            }
        })
    }

    fn parse(value: &Value) -> Result<ContextRequest, Vec<String>> {
        ContextRequest::parse(value.to_string().as_bytes(), Profile::Standard)
            .map_err(|problem| problem.faults.into_iter().map(|f| f.name).collect())
    }

    #[test]
    fn bare_and_wrapped_requests_are_the_same() {
        let bare = parse(&standard()).unwrap();
        for wrapper in WRAPPERS {
            assert_eq!(parse(&json!({wrapper: standard()})).unwrap(), bare);
        }
        assert_eq!(bare.to_json(), standard());
    }

    #[test]
    fn both_names_of_the_device_application_are_read() {
        let mut old = standard();
        let id = old
            .as_object_mut()
            .unwrap()
            .remove("associateDevAppId")
            .unwrap();
        old["associateUeAppId"] = id;
        assert_eq!(parse(&old), parse(&standard()));
    }

    #[test]
    fn each_fault_is_named_by_its_pointer() {
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 10] = [
            (
                |v| v["associateDevAppId"] = json!("x".repeat(33)),
                "/associateDevAppId",
            ),
            (|v| v["associateDevAppId"] = json!(""), "/associateDevAppId"),
            (
                |v| v["callbackReference"] = json!("nowhere"),
                "/callbackReference",
            ),
            (
                |v| v["callbackReference"] = Value::Null,
                "/callbackReference",
            ),
            (
                |v| v["appAutoInstantiation"] = json!(true),
                "/appAutoInstantiation",
            ),
            (|v| v["appInfo"] = json!([]), "/appInfo"),
            (|v| v["appInfo"]["appName"] = json!(1), "/appInfo/appName"),
            (
                |v| drop(v["appInfo"].as_object_mut().unwrap().remove("appDVersion")),
                "/appInfo/appDVersion",
            ),
            (
                |v| v["appInfo"]["userAppInstanceInfo"] = json!([]),
                "/appInfo/userAppInstanceInfo",
            ),
            (
                |v| v["appInfo"]["userAppInstanceInfo"] = json!([{}, {"appLocation": {}}]),
                "/appInfo/userAppInstanceInfo/1/appLocation/countryCode",
            ),
        ];
        for (change, pointer) in changes {
            let mut value = standard();
            change(&mut value);
            assert_eq!(parse(&value).unwrap_err(), [pointer]);
        }
        let wrapped = json!({"AppContext": {}});
        assert_eq!(
            parse(&wrapped).unwrap_err()[0],
            "/AppContext/associateDevAppId"
        );
    }

    #[test]
    fn requests_of_the_reference_are_read_and_those_of_wrong_usage_are_not() {
        let request = json!({"associateUeAppId": "0b6ad7f9-6a2e-4b52-9a40-0d7d1f0c8e11",
            "callbackReference": "http://localhost:6600/x",
            "appInfo": {"appName": "clambda0", "appProvider": "OpenLambdaMec", "appSoftVersion": "1.0"}});
        let parse =
            |value: &Value| ContextRequest::parse(value.to_string().as_bytes(), Profile::Legacy);
        let read = parse(&request).unwrap();
        assert_eq!(read.to_json(), request);
        for member in ["referenceURI", "appCharcs"] {
            let mut wrong = request.clone();
            wrong["appInfo"][member] = json!({});
            assert!(parse(&wrong).is_err());
        }
    }

    #[test]
    fn answers_of_all_shapes_are_read() {
        let reference = Reference::parse("grpc://h:1");
        let new = br#"{"contextId": "c", "appInfo": {"userAppInstanceInfo": [{"appInstanceId": "i", "referenceURI": "grpc://h:1"}]}}"#;
        let old =
            br#"{"AppContext": {"contextId": "c", "appInfo": {"referenceURL": "grpc://h:1"}}}"#;
        let instances = |id: Option<&str>| vec![(id.map(str::to_owned), reference.clone())];
        assert_eq!(Reply::parse(new).unwrap().instances, instances(Some("i")));
        assert_eq!(Reply::parse(old).unwrap().instances, instances(None));
        assert!(Reply::parse(b"{}").is_err());
    }
}
