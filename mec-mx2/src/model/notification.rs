//! What device applications are told of their contexts.

use serde_json::{Map, Value, json};

use super::availability::available;
use super::context::{Instance, reference};
use super::location::LocationConstraints;
use super::reader::{Faults, Object, parse_object};
use super::uri::Reference;
use super::{MAX_URI_BYTES, Problem};

/// A notification, of the four kinds of MEC 016 or of the one of its first version.
#[derive(Debug, Clone, PartialEq)]
pub enum Notification {
    /// An instance is reached somewhere else.
    AddressChange {
        /// The context.
        context_id: String,
        /// The instance.
        instance_id: String,
        /// Where it is reached now.
        reference: Reference,
    },
    /// The context is gone.
    ContextDelete {
        /// The context.
        context_id: String,
    },
    /// Instances came, or several have changed.
    ContextUpdate {
        /// The context.
        context_id: String,
        /// Those that are there now.
        instances: Vec<Instance>,
    },
    /// The application can run in these places from now on.
    LocationAvailability {
        /// The context.
        context_id: Option<String>,
        /// At least one.
        locations: Vec<LocationConstraints>,
    },
    /// Version 1: the only instance is reached somewhere else.
    Legacy {
        /// Where it is reached now.
        reference: Reference,
    },
}

/// A body that is no notification.
#[derive(Debug, thiserror::Error)]
#[error("this is no notification of MEC 016: {0}")]
pub struct InvalidNotification(#[from] Problem);

impl Notification {
    /// Its kind, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AddressChange { .. } => "AddressChangeNotification",
            Self::ContextDelete { .. } => "ApplicationContextDeleteNotification",
            Self::ContextUpdate { .. } => "ApplicationContextUpdateNotification",
            Self::LocationAvailability { .. } => "ApplicationLocationAvailabilityNotification",
            Self::Legacy { .. } => "NotificationEvent",
        }
    }

    /// As JSON; references without a scheme get `scheme`, except in the older shape.
    pub fn to_json(&self, scheme: &str) -> Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        match self {
            Self::Legacy { reference } => {
                return json!({"referenceURI": reference.as_str()});
            }
            Self::AddressChange {
                context_id,
                instance_id,
                reference,
            } => {
                put("contextId", json!(context_id));
                put("appInstanceId", json!(instance_id));
                put("referenceURI", json!(reference.to_uri(scheme)));
            }
            Self::ContextDelete { context_id } => {
                put("contextId", json!(context_id));
            }
            Self::ContextUpdate {
                context_id,
                instances,
            } => {
                put("contextId", json!(context_id));
                let instances = instances.iter().map(|i| i.to_json(scheme));
                put("userAppInstanceInfo", instances.collect());
            }
            Self::LocationAvailability {
                context_id,
                locations,
            } => {
                if let Some(id) = context_id {
                    put("contextId", json!(id));
                }
                put("availableLocations", available(locations));
            }
        }
        put("notificationType", json!(self.kind()));
        Value::Object(object)
    }

    /// Reads a notification of any kind.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidNotification> {
        let (members, pointer) = parse_object(body, &["InlineNotification", "NotificationEvent"])?;
        let mut faults = Faults::default();
        let read = Self::read(&Object::new(&members, pointer), &mut faults);
        Ok(faults.none_or(read)?)
    }

    fn read(object: &Object<'_>, faults: &mut Faults) -> Option<Self> {
        let mut required = |names: &[&'static str]| {
            let text = object.required_text(names, MAX_URI_BYTES, faults);
            text.map(str::to_owned)
        };
        let references = ["referenceURI", "referenceURL"];
        match object.get("notificationType").map(Value::as_str) {
            None => {
                let reference = Reference::parse(&required(&references)?)?;
                Some(Self::Legacy { reference })
            }
            Some(Some("AddressChangeNotification")) => {
                let (context_id, instance_id) =
                    (required(&["contextId"]), required(&["appInstanceId"]));
                let reference = required(&references).and_then(|text| Reference::parse(&text));
                Some(Self::AddressChange {
                    context_id: context_id?,
                    instance_id: instance_id?,
                    reference: reference?,
                })
            }
            Some(Some("ApplicationContextDeleteNotification")) => Some(Self::ContextDelete {
                context_id: required(&["contextId"])?,
            }),
            Some(Some("ApplicationContextUpdateNotification")) => {
                let context_id = required(&["contextId"]);
                let objects = object.objects("userAppInstanceInfo", faults)?;
                let instances = objects.iter().filter_map(|o| {
                    let id = o.required_text(&["appInstanceId"], MAX_URI_BYTES, faults)?;
                    let place = o.object("appLocation", faults);
                    Some(Instance {
                        id: id.to_owned(),
                        location: place.and_then(|p| LocationConstraints::read(&p, faults)),
                        reference: reference(o, faults),
                    })
                });
                let instances = instances.collect();
                Some(Self::ContextUpdate {
                    context_id: context_id?,
                    instances,
                })
            }
            Some(Some("ApplicationLocationAvailabilityNotification")) => {
                let context_id = object.text("contextId", MAX_URI_BYTES, faults);
                let objects = object.objects("availableLocations", faults)?;
                let places = objects.iter().filter_map(|o| {
                    let place = o.required_object("appLocation", faults)?;
                    LocationConstraints::read(&place, faults)
                });
                Some(Self::LocationAvailability {
                    locations: places.collect(),
                    context_id: context_id.map(str::to_owned),
                })
            }
            Some(_) => {
                faults.add(object.at("notificationType"), "is none that MEC 016 knows");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_read_back_as_written() {
        let reference = Reference::parse("grpc://h:1").unwrap();
        let place = LocationConstraints::from_json(&json!({"countryCode": "IT"})).unwrap();
        let context_id = || "c".to_owned();
        let instance = Instance {
            id: "i".to_owned(),
            location: Some(place.clone()),
            reference: Some(reference.clone()),
        };
        for notification in [
            Notification::Legacy {
                reference: reference.clone(),
            },
            Notification::AddressChange {
                context_id: context_id(),
                instance_id: "i".to_owned(),
                reference,
            },
            Notification::ContextDelete {
                context_id: context_id(),
            },
            Notification::ContextUpdate {
                context_id: context_id(),
                instances: vec![instance],
            },
            Notification::LocationAvailability {
                context_id: None,
                locations: vec![place],
            },
        ] {
            let text = notification.to_json("grpc").to_string();
            assert_eq!(Notification::parse(text.as_bytes()).unwrap(), notification);
        }
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"notificationType": "x"}"#,
            r#"{"notificationType": 1}"#,
            r#"{"notificationType": "AddressChangeNotification", "contextId": "c"}"#,
        ] {
            assert!(Notification::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
