//! Environment variables as configuration: `EDGEROUTER__TABLE__STALE_PERIOD=5`.
//!
//! After the program's name, double underscores separate levels, a single one stands for
//! the `-` of the key. A value that is a number, a boolean, a quoted string, an array or
//! an inline table of TOML is that, unless its key takes text; anything else is text. `RUST_LOG`
//! stands for `log.filter`, unless the program's own variable is set.

use std::ffi::OsString;

use toml::{Value, de::DeValue};

use super::{
    error::{ConfigError, Origin},
    source::assignment,
};

const LEVEL: &str = "__";

/// A variable that configures this program.
#[derive(Debug, PartialEq)]
pub(super) struct Variable {
    pub(super) name: String,
    /// The same as a line of TOML.
    pub(super) text: String,
}

/// The variables that concern `program`, in an order in which `A__B` comes after `A`.
pub(super) fn variables(
    program: &str,
    environment: &[(OsString, OsString)],
) -> Result<Vec<Variable>, ConfigError> {
    let prefix = format!("{}{LEVEL}", program.to_uppercase().replace('-', "_"));
    let mut found = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str() else { continue };
        let key = match name.strip_prefix(&prefix) {
            Some(path) => key(name, path)?,
            None if name == "RUST_LOG" && !value.is_empty() => "log.filter".to_owned(),
            None => continue,
        };
        let Some(value) = value.to_str() else {
            return Err(invalid(name, &key, "the value is not UTF-8 text"));
        };
        found.push(Variable {
            name: name.to_owned(),
            text: assignment(&key, &toml_value(value)),
        });
    }
    found.sort_by_key(|variable| (variable.name != "RUST_LOG", variable.name.clone()));
    Ok(found)
}

/// What the variable of that name holds.
pub(super) fn text_of<'e>(name: &str, environment: &'e [(OsString, OsString)]) -> Option<&'e str> {
    let found = environment.iter().find(|(known, _)| known == name);
    found.and_then(|(_, value)| value.to_str())
}

fn invalid(name: &str, key: &str, problem: &str) -> ConfigError {
    ConfigError::Invalid {
        origin: Origin::Environment(name.to_owned()),
        key: key.to_owned(),
        problem: problem.to_owned(),
    }
}

fn key(name: &str, path: &str) -> Result<String, ConfigError> {
    let is_mixed = |part: &str| {
        part.contains(|c: char| c.is_ascii_uppercase())
            && part.contains(|c: char| c.is_ascii_lowercase())
    };
    if path.split(LEVEL).any(is_mixed) {
        let problem = "a part of the name is in upper and lower case, which makes no difference here: \
                       names with capitals or underscores of their own, like those of lambdas, go \
                       into a file";
        return Err(invalid(name, "", problem));
    }
    let parts: Vec<_> = path
        .split(LEVEL)
        .map(|part| part.to_lowercase().replace('_', "-"))
        .collect();
    if parts.iter().any(|part| part.trim_matches('-').is_empty()) {
        let problem = "a part of the name between double underscores is empty";
        return Err(invalid(name, "", problem));
    }
    Ok(parts.join("."))
}

fn toml_value(text: &str) -> String {
    let parsed = DeValue::parse(text);
    match parsed.as_ref().map(toml::Spanned::get_ref) {
        Ok(DeValue::Datetime(_)) | Err(_) => Value::String(text.to_owned()).to_string(),
        Ok(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)]) -> Result<Vec<(String, String)>, ConfigError> {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect();
        let variables = variables("edge-router", &environment)?;
        Ok(variables.into_iter().map(|v| (v.name, v.text)).collect())
    }

    fn text_of(value: &str) -> String {
        let variables = read(&[("EDGE_ROUTER__KEY", value)]).unwrap();
        variables[0].1.clone()
    }

    #[test]
    fn names_become_dotted_keys_in_kebab_case() {
        let variables = read(&[
            ("EDGE_ROUTER__TABLE__STALE_PERIOD", "5"),
            ("EDGE_ROUTER_TABLE", "not ours"),
            ("PATH", "/bin"),
        ]);
        let expected = (
            "EDGE_ROUTER__TABLE__STALE_PERIOD",
            "\"table\".\"stale-period\" = 5\n",
        );
        assert_eq!(
            variables.unwrap(),
            [(expected.0.to_owned(), expected.1.to_owned())]
        );
    }

    #[test]
    fn values_are_toml_where_they_can_be() {
        for scalar in ["5", "1.5", "true", "\"5\"", "[1, 2]", "{ a = 1 }"] {
            assert_eq!(text_of(scalar), format!("\"key\" = {scalar}\n"));
        }
        for text in [
            "0.0.0.0:6473",
            "[::1]:6473",
            "yes",
            "",
            "5s",
            "2024-01-01",
            "a b",
        ] {
            assert_eq!(text_of(text), format!("\"key\" = \"{text}\"\n"));
        }
    }

    #[test]
    fn a_value_cannot_smuggle_in_another_key() {
        let text = text_of("1\nother = 2");
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table.len(), 1);
        assert_eq!(table["key"].as_str(), Some("1\nother = 2"));
    }

    #[test]
    fn an_empty_part_of_a_name_is_an_error() {
        for name in ["EDGE_ROUTER__", "EDGE_ROUTER__A____B", "EDGE_ROUTER__A__"] {
            let error = read(&[(name, "1")]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("environment variable {name}: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_name_that_cannot_be_meant_literally_is_an_error() {
        let error = read(&[("EDGE_ROUTER__LAMBDA__Foo_Bar__IDEMPOTENT", "true")]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("upper and lower case"), "{error}");
        for name in ["EDGE_ROUTER__TABLE__PROBES", "EDGE_ROUTER__table__probes"] {
            let variables = read(&[(name, "1")]).unwrap();
            assert_eq!(variables[0].1, "\"table\".\"probes\" = 1\n");
        }
    }

    #[test]
    fn rust_log_gives_way_to_the_programs_own_variable() {
        let variables =
            read(&[("EDGE_ROUTER__LOG__FILTER", "warn"), ("RUST_LOG", "debug")]).unwrap();
        assert_eq!(variables[0].0, "RUST_LOG");
        assert_eq!(variables[1].0, "EDGE_ROUTER__LOG__FILTER");
        assert!(read(&[("RUST_LOG", "")]).unwrap().is_empty());
    }
}
