//! Applications: what the catalogue holds and the lists show.

use serde_json::{Map, Value, json};

use super::context::Profile;
use super::location::LocationConstraints;
use super::reader::{Faults, Object};
use super::{MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS};

/// Provider of the lambdas that the management adds, as in the C++ reference.
pub const LAMBDA_PROVIDER: &str = "OpenLambdaMec";
/// Their version.
pub const LAMBDA_VERSION: &str = "1.0";
/// Longest identifier or version of an application's description, in characters.
const MAX_D_ID_CHARS: usize = 64;

/// What an application needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Characteristics {
    /// MB.
    pub memory: u32,
    /// MB.
    pub storage: u32,
    /// Target round trip in milliseconds; 0: not said. In lists, what the brokers measure
    /// is shown where the application's own description does not say.
    pub latency: u32,
    /// kbit/s.
    pub bandwidth: u32,
    /// Whether sessions must survive a move.
    pub service_continuity: bool,
}

/// What a vendor says besides.
#[derive(Debug, Clone, PartialEq)]
pub struct VendorExtension {
    /// At most 32 characters.
    pub id: String,
    /// Anything else.
    pub rest: Map<String, Value>,
}

/// One application.
#[derive(Debug, Clone, PartialEq)]
pub struct AppInfo {
    /// Identifier of its description, globally unique.
    pub d_id: String,
    /// Its name: that of a lambda.
    pub name: String,
    /// Who offers it.
    pub provider: String,
    /// Its version.
    pub soft_version: String,
    /// Version of its description.
    pub d_version: String,
    /// For people.
    pub description: String,
    /// What it needs.
    pub characteristics: Characteristics,
    /// Where it may be instantiated; empty: wherever there are computers.
    pub locations: Vec<LocationConstraints>,
    /// What its vendor says.
    pub vendor: Option<VendorExtension>,
}

impl AppInfo {
    /// A lambda, as the management of the C++ reference adds it. `None` if the name is
    /// empty or too long for MEC 016.
    pub fn lambda(name: &str) -> Option<Self> {
        let chars = name.chars().count();
        (1..=MAX_NAME_CHARS).contains(&chars).then(|| Self {
            d_id: format!("{LAMBDA_PROVIDER}.{name}"),
            name: name.to_owned(),
            provider: LAMBDA_PROVIDER.to_owned(),
            soft_version: LAMBDA_VERSION.to_owned(),
            d_version: LAMBDA_VERSION.to_owned(),
            description: format!("lambda {name}"),
            characteristics: Characteristics::default(),
            locations: Vec::new(),
            vendor: None,
        })
    }

    /// Reads an item of a list, of the standard or of an older shape: `item` is what holds
    /// the `appInfo`, or is one.
    pub(crate) fn read(item: &Object<'_>, faults: &mut Faults) -> Option<Self> {
        let info = match item.get("appInfo") {
            Some(_) => item.object("appInfo", faults)?,
            None => item.clone(),
        };
        let name = info.required_text(&["appName"], MAX_NAME_CHARS, faults);
        let provider = info.required_text(&["appProvider"], MAX_NAME_CHARS, faults);
        let soft_version = info.text("appSoftVersion", MAX_NAME_CHARS, faults);
        let description = info.text("appDescription", MAX_DESCRIPTION_CHARS, faults);
        let d_id = info.any_text(&["appDId"], MAX_D_ID_CHARS, faults);
        let d_version = info.text("appDVersion", MAX_D_ID_CHARS, faults);
        let locations = info.objects("appLocation", faults).unwrap_or_default();
        let locations: Vec<_> = locations
            .iter()
            .filter_map(|place| LocationConstraints::read(place, faults))
            .collect();
        let characteristics = info
            .object("appCharcs", faults)
            .map(|charcs| Characteristics::read(&charcs, faults));
        let vendor = item.object("vendorSpecificExt", faults).and_then(|ext| {
            let id = ext
                .required_text(&["vendorId"], MAX_NAME_CHARS, faults)?
                .to_owned();
            let rest = ext.rest(&["vendorId"]);
            Some(VendorExtension { id, rest })
        });
        let (name, provider) = (name?, provider?);
        let soft_version = soft_version.unwrap_or_default();
        Some(Self {
            d_id: d_id.map_or_else(|| format!("{provider}.{name}"), str::to_owned),
            name: name.to_owned(),
            provider: provider.to_owned(),
            soft_version: soft_version.to_owned(),
            d_version: d_version.unwrap_or(soft_version).to_owned(),
            description: description.unwrap_or_default().to_owned(),
            characteristics: characteristics.unwrap_or_default(),
            locations,
            vendor,
        })
    }

    /// As an item of a list. `latency_ms` is what the brokers measure, 0 if nothing.
    pub(crate) fn to_json(&self, profile: Profile, latency_ms: u32) -> Value {
        let charcs = Characteristics {
            latency: match self.characteristics.latency {
                0 => latency_ms,
                target => target,
            },
            ..self.characteristics
        };
        let mut info = Map::new();
        let mut put = |key: &str, value: Value| info.insert(key.to_owned(), value);
        put("appName", json!(self.name));
        put("appProvider", json!(self.provider));
        match profile {
            Profile::Legacy => {
                for (key, text) in [
                    ("appSoftVersion", &self.soft_version),
                    ("appDescription", &self.description),
                ] {
                    if !text.is_empty() {
                        put(key, json!(text));
                    }
                }
                put("appCharcs", charcs.to_json());
                Value::Object(info)
            }
            Profile::Standard => {
                put("appDId", json!(self.d_id));
                put("appSoftVersion", json!(self.soft_version));
                put("appDVersion", json!(self.d_version));
                put("appDescription", json!(self.description));
                if !self.locations.is_empty() {
                    let places = self.locations.iter().map(LocationConstraints::to_json);
                    put("appLocation", places.collect());
                }
                put("appCharcs", charcs.to_json());
                let mut item = Map::new();
                item.insert("appInfo".to_owned(), Value::Object(info));
                if let Some(vendor) = &self.vendor {
                    let mut ext = vendor.rest.clone();
                    ext.insert("vendorId".to_owned(), json!(vendor.id));
                    item.insert("vendorSpecificExt".to_owned(), Value::Object(ext));
                }
                Value::Object(item)
            }
        }
    }
}

impl Characteristics {
    fn read(object: &Object<'_>, faults: &mut Faults) -> Self {
        let mut number = |name| object.number(name, faults).unwrap_or_default();
        let (memory, storage) = (number("memory"), number("storage"));
        let (latency, bandwidth) = (number("latency"), number("bandwidth"));
        let service_continuity = match object.get("serviceCont") {
            None => false,
            Some(value) => service_continuity(value).unwrap_or_else(|| {
                faults.add(object.at("serviceCont"), "must be 0 or 1");
                false
            }),
        };
        Self {
            memory,
            storage,
            latency,
            bandwidth,
            service_continuity,
        }
    }

    fn to_json(self) -> Value {
        json!({
            "memory": self.memory,
            "storage": self.storage,
            "latency": self.latency,
            "bandwidth": self.bandwidth,
            "serviceCont": u8::from(self.service_continuity),
        })
    }
}

/// 0 and 1 in the present version, words in older ones.
fn service_continuity(value: &Value) -> Option<bool> {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(word) => service_continuity_word(word),
        _ => None,
    }
}

pub(super) fn service_continuity_word(word: &str) -> Option<bool> {
    match word {
        "0" | "SERVICE_CONTINUITY_NOT_REQUIRED" => Some(false),
        "1" | "SERVICE_CONTINUITY_REQUIRED" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &Value) -> Result<AppInfo, Vec<String>> {
        let mut faults = Faults::default();
        let read = AppInfo::read(&Object::new(value.as_object().unwrap(), ""), &mut faults);
        faults
            .none_or(read)
            .map_err(|problem| problem.faults.into_iter().map(|f| f.name).collect())
    }

    #[test]
    fn old_and_new_shapes_of_an_application_are_read() {
        let old = read(
            &json!({"appName": "a", "appProvider": "p", "appSoftVersion": "1",
            "appCharcs": {"latency": 5, "serviceCont": "SERVICE_CONTINUITY_REQUIRED"}}),
        );
        let new = read(
            &json!({"appInfo": {"appName": "a", "appProvider": "p", "appSoftVersion": "1",
            "appDId": "p.a", "appDVersion": "1", "appDescription": "",
            "appCharcs": {"latency": 5, "serviceCont": 1}}}),
        );
        assert_eq!(old, new);
        assert!(old.unwrap().characteristics.service_continuity);
    }

    #[test]
    fn all_faults_are_told_together_with_their_places() {
        let names = read(&json!({"appName": "", "appProvider": "p".repeat(33),
            "appCharcs": {"memory": -1, "latency": "x", "serviceCont": 2}}));
        assert_eq!(
            names.unwrap_err(),
            [
                "/appName",
                "/appProvider",
                "/appCharcs/memory",
                "/appCharcs/latency",
                "/appCharcs/serviceCont"
            ]
        );
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let item = |name: String| read(&json!({"appName": name, "appProvider": "p"}));
        assert!(item("é".repeat(32)).is_ok());
        assert!(item("é".repeat(33)).is_err());
    }

    #[test]
    fn a_vendor_keeps_what_it_says() {
        let item = json!({"appInfo": {"appName": "a", "appProvider": "p"},
            "vendorSpecificExt": {"vendorId": "v", "colour": [1, 2]}});
        let written = read(&item).unwrap().to_json(Profile::Standard, 0);
        assert_eq!(written["vendorSpecificExt"], item["vendorSpecificExt"]);
    }
}
