//! Where an application can run: the question and its answer.

use serde_json::{Map, Value, json};

use super::location::LocationConstraints;
use super::problem::Problem;
use super::reader::{Faults, Object, parse_object};
use super::uri::CallbackUri;
use super::{MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, MAX_URI_BYTES};

const WRAPPERS: [&str; 2] = [
    "ApplicationLocationAvailability",
    "applicationLocationAvailability",
];

/// A question where an application can run.
#[derive(Debug, Clone, PartialEq)]
pub struct AvailabilityRequest {
    /// The name of the application.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// Its version, if that matters.
    pub soft_version: Option<String>,
    /// All that is repeated in the answer.
    device_app: String,
    info: Map<String, Value>,
}

impl AvailabilityRequest {
    /// Reads a body, wrapped or bare.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let (members, pointer) = parse_object(body, &WRAPPERS)?;
        let mut faults = Faults::default();
        let read = Self::read(&Object::new(&members, pointer), &mut faults);
        faults.none_or(read)
    }

    fn read(object: &Object<'_>, faults: &mut Faults) -> Option<Self> {
        let names = ["associateDevAppId", "associateUeAppId"];
        let device_app = object.required_text(&names, MAX_NAME_CHARS, faults);
        let info = object.required_object("appInfo", faults)?;
        let mut echoed = Map::new();
        let mut echo = |key: &str, text: Option<&str>| {
            if let Some(text) = text {
                echoed.insert(key.to_owned(), json!(text));
            }
        };
        let name = info.required_text(&["appName"], MAX_NAME_CHARS, faults);
        let provider = info.required_text(&["appProvider"], MAX_NAME_CHARS, faults);
        let soft_version = info.text("appSoftVersion", MAX_NAME_CHARS, faults);
        echo("appName", name);
        echo("appProvider", provider);
        echo("appSoftVersion", soft_version);
        echo(
            "appDVersion",
            info.required_text(&["appDVersion"], MAX_URI_BYTES, faults),
        );
        echo(
            "appDescription",
            info.text("appDescription", MAX_DESCRIPTION_CHARS, faults),
        );
        let source = info.text("appPackageSource", MAX_URI_BYTES, faults);
        if let Some(source) = source
            && let Err(reason) = CallbackUri::parse(source)
        {
            faults.add(info.at("appPackageSource"), reason);
        }
        echo("appPackageSource", source);
        // Only for answers, but what is no list of objects is a mistake.
        let _places = info.objects("availableLocations", faults);
        Some(Self {
            name: name?.to_owned(),
            provider: provider?.to_owned(),
            soft_version: soft_version.map(str::to_owned),
            device_app: device_app?.to_owned(),
            info: echoed,
        })
    }

    /// The answer: the same, and the places.
    pub fn answer(&self, places: &[LocationConstraints]) -> Value {
        let mut info = self.info.clone();
        info.insert("availableLocations".to_owned(), available(places));
        json!({"associateDevAppId": self.device_app, "appInfo": info})
    }
}

/// Places as answers and notifications list them.
pub(super) fn available(places: &[LocationConstraints]) -> Value {
    let places = places
        .iter()
        .map(|place| json!({"appLocation": place.to_json()}));
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_repeats_the_question_and_adds_places() {
        let question = json!({"associateDevAppId": "d",
            "appInfo": {"appName": "a", "appProvider": "p", "appDVersion": "1"}});
        let wrapped = json!({"ApplicationLocationAvailability": question}).to_string();
        let parsed = AvailabilityRequest::parse(wrapped.as_bytes()).unwrap();
        let place = LocationConstraints::from_json(&json!({"countryCode": "IT"})).unwrap();
        let mut answer = parsed.answer(&[place]);
        let places = answer["appInfo"]
            .as_object_mut()
            .unwrap()
            .remove("availableLocations");
        assert_eq!(
            places,
            Some(json!([{"appLocation": {"countryCode": "IT"}}]))
        );
        assert_eq!(answer, question);
    }
}
