//! Which applications a list shall show: the query of `app_list`.

use percent_encoding::percent_decode_str;

use super::MAX_NAME_CHARS;
use super::app::{AppInfo, service_continuity_word};
use super::problem::Problem;
use super::reader::Faults;

/// Values of one parameter that are accepted.
const MAX_VALUES: usize = 100;

/// Of each kind, the values of which one has to match; none: any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFilter {
    names: Vec<String>,
    providers: Vec<String>,
    soft_versions: Vec<String>,
    vendors: Vec<String>,
    service_continuity: Option<bool>,
}

impl AppFilter {
    /// Reads a query. Names of parameters count whatever their case; a value may be a list
    /// with commas, parameters may be repeated, and one pair of quotes around a value is
    /// taken away. Other parameters are ignored.
    ///
    /// # Errors
    /// A value is too long, or no value of `serviceCont`.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let mut filter = Self::default();
        let mut faults = Faults::default();
        for pair in query.split('&') {
            let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(key) = decode(key) else { continue };
            let (name, values) = match key.to_ascii_lowercase().as_str() {
                "appname" => ("appName", &mut filter.names),
                "appprovider" => ("appProvider", &mut filter.providers),
                "appsoftversion" => ("appSoftVersion", &mut filter.soft_versions),
                "vendorid" => ("vendorId", &mut filter.vendors),
                "servicecont" => {
                    let word = decode(raw);
                    match word
                        .as_deref()
                        .map(unquoted)
                        .and_then(service_continuity_word)
                    {
                        Some(required) => filter.service_continuity = Some(required),
                        None => faults.add("serviceCont", "must be 0 or 1"),
                    }
                    continue;
                }
                _ => continue,
            };
            // Commas that were encoded are part of a value.
            for value in raw.split(',') {
                match decode(value) {
                    None => faults.add(name, "must be percent-encoded UTF-8"),
                    Some(text) => {
                        let text = unquoted(&text);
                        if text.chars().nth(MAX_NAME_CHARS).is_some() {
                            faults.add(name, "must have at most 32 characters");
                        } else if values.len() == MAX_VALUES {
                            faults.add(name, "must have at most 100 values");
                            break;
                        } else {
                            values.push(text.to_owned());
                        }
                    }
                }
            }
        }
        faults.none_or(Some(filter))
    }

    /// Whether `app` is to be shown.
    pub fn admits(&self, app: &AppInfo) -> bool {
        let any =
            |values: &[String], text: &str| values.is_empty() || values.iter().any(|v| v == text);
        any(&self.names, &app.name)
            && any(&self.providers, &app.provider)
            && any(&self.soft_versions, &app.soft_version)
            && any(
                &self.vendors,
                app.vendor.as_ref().map_or("", |vendor| &vendor.id),
            )
            && self
                .service_continuity
                .is_none_or(|required| required == app.characteristics.service_continuity)
    }
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str) -> Vec<&'static str> {
        let filter = AppFilter::parse(query).unwrap();
        let names = ["a", "b", "c d"].into_iter();
        names
            .filter(|name| {
                let mut app = AppInfo::lambda(name).unwrap();
                app.characteristics.service_continuity = *name == "b";
                filter.admits(&app)
            })
            .collect()
    }

    #[test]
    fn filters_are_read_as_leniently_as_clients_write_them() {
        assert_eq!(shown(""), ["a", "b", "c d"]);
        assert_eq!(shown("appName=a&appName=b"), ["a", "b"]);
        assert_eq!(shown("appname=a,b"), ["a", "b"]);
        assert_eq!(shown("APPNAME=%22c+d%22"), ["c d"]);
        assert_eq!(shown("appName=c%20d&appProvider=OpenLambdaMec"), ["c d"]);
        assert_eq!(shown("appName=nobody"), [""; 0]);
        assert_eq!(shown("vendorId=v"), [""; 0]);
        assert_eq!(shown("serviceCont=1"), ["b"]);
        assert_eq!(
            shown("serviceCont=SERVICE_CONTINUITY_NOT_REQUIRED"),
            ["a", "c d"]
        );
        assert_eq!(shown("somethingElse=1"), ["a", "b", "c d"]);
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_name() {
        for (query, name) in [
            ("serviceCont=MAYBE", "serviceCont"),
            ("serviceCont=2", "serviceCont"),
            ("serviceCont", "serviceCont"),
            (&format!("appName={}", "x".repeat(33)), "appName"),
            ("appName=%ff", "appName"),
        ] {
            let problem = AppFilter::parse(query).unwrap_err();
            assert_eq!(problem.faults[0].name, name, "{query}");
        }
    }
}
