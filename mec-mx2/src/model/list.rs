//! Lists of applications, as the profiles write them and as clients read them.

use serde_json::{Value, json};

use super::app::AppInfo;
use super::context::Profile;
use super::problem::Problem;
use super::reader::{Faults, Object, parse_object};

/// What lists are wrapped in by some.
const WRAPPERS: [&str; 2] = ["ApplicationList", "applicationList"];

/// The list of applications in the shape of `profile`; each with the round trip in
/// milliseconds that the brokers measure, 0 if none.
pub fn app_list<'a>(profile: Profile, apps: impl Iterator<Item = (&'a AppInfo, u32)>) -> Value {
    let items: Vec<_> = apps
        .map(|(app, latency)| app.to_json(profile, latency))
        .collect();
    match profile {
        Profile::Standard => json!({"appList": items}),
        Profile::Legacy => json!({"ApplicationList": {"appInfo": items}}),
    }
}

impl AppInfo {
    /// Reads a list of any shape.
    ///
    /// # Errors
    /// If it is no list, or an item no application.
    pub fn read_list(body: &[u8]) -> Result<Vec<Self>, Problem> {
        let (object, pointer) = parse_object(body, &WRAPPERS)?;
        let list = Object::new(&object, pointer);
        let mut faults = Faults::default();
        let name = if list.get("appList").is_some() {
            "appList"
        } else {
            "appInfo"
        };
        let items = list.objects(name, &mut faults);
        if list.get(name).is_none() {
            faults.add(list.at("appList"), "is required");
        }
        let apps: Option<Vec<_>> = items.map(|items| {
            let read = items
                .iter()
                .filter_map(|item| Self::read(item, &mut faults));
            read.collect()
        });
        faults.none_or(apps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_either_profile_writes_is_read() {
        let app = AppInfo::lambda("clambda0").unwrap();
        for profile in [Profile::Standard, Profile::Legacy] {
            let list = app_list(profile, [(&app, 7)].into_iter());
            let read = AppInfo::read_list(list.to_string().as_bytes()).unwrap();
            assert_eq!(
                (read[0].name.as_str(), read[0].characteristics.latency),
                ("clambda0", 7)
            );
        }
        let bare = br#"{"appInfo": []}"#;
        assert_eq!(AppInfo::read_list(bare).unwrap(), []);
        for bad in ["[]", "{}", r#"{"appList": 1}"#, r#"{"appList": [1]}"#, "x"] {
            assert!(AppInfo::read_list(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
