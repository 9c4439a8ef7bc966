//! Configuration in layers: defaults, files, environment, command line.
//!
//! Each layer overrides the one before it key by key. What is merged remembers where it
//! was written, so that an error says `router.toml, line 12`, `environment variable
//! EDGEROUTER__TABLE__ALPHA` or `option --num-threads`.
//!
//! # What a configuration looks like
//! A struct with `#[derive(Serialize, Deserialize)]`, `Default`, and
//! `#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]` on it and on every
//! struct in it. Keys are in kebab case, so that they are those of the conf strings, and
//! so that `_` in the name of an environment variable can stand for `-`. It has the
//! sections `log` ([`LogConfig`](crate::log::LogConfig)) and `admin`
//! ([`AdminConfig`](crate::admin::AdminConfig)), which the common flags set.
//!
//! A section may be a struct or an enum tagged by `type`. When a layer changes the `type`
//! of a section, the keys that lower layers gave for the old type no longer count.

mod environment;
mod error;
mod loaded;
mod merge;
mod source;
mod words;

use std::{cell::OnceCell, ffi::OsString, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, Deserializer},
};

use crate::{
    cli::{CommonFlags, ConfArg},
    conf_string::{ConfSchema, TYPE},
};
pub use error::{ConfigError, Origin};
pub use loaded::Loaded;
use merge::Merge;
use source::Sources;

/// The layers of one program's configuration, lowest first; [`Layers::load`] merges them.
#[derive(Debug)]
pub struct Layers {
    program: String,
    files: Vec<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    command_line: Vec<Given>,
    schemas: Vec<&'static ConfSchema>,
}

/// Something given on the command line.
#[derive(Debug)]
enum Given {
    /// An option that sets one key; the value is TOML, or why it cannot be.
    Flag {
        option: String,
        key: String,
        value: Result<String, String>,
    },
    ConfString {
        schema: &'static ConfSchema,
        text: String,
    },
    /// A conf string as `--conf`, to a program that has no use for one.
    Misplaced { text: String },
}

impl Layers {
    /// Begins with the defaults and the environment of the process. The variables of
    /// program `edgerouter` are those that begin with `EDGEROUTER__`.
    pub fn new(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            files: Vec::new(),
            environment: std::env::vars_os().collect(),
            command_line: Vec::new(),
            schemas: Vec::new(),
        }
    }

    /// Takes these environment variables instead of the process's.
    #[must_use]
    pub fn environment<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let owned = |(name, value): (N, V)| (name.into(), value.into());
        self.environment = variables.into_iter().map(owned).collect();
        self
    }

    /// Adds a TOML file. Of several, later ones override earlier ones.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Adds the flags that all programs share. `inline` is the schema of a conf string
    /// given as `--conf`; without one, `--conf` takes only files.
    #[must_use]
    pub fn common(mut self, flags: &CommonFlags, inline: Option<&'static ConfSchema>) -> Self {
        self.schemas.extend(inline);
        for conf in &flags.conf {
            match (conf, inline) {
                (ConfArg::File(path), _) => self.files.push(path.clone()),
                (ConfArg::Inline(text), Some(schema)) => {
                    let text = text.clone();
                    self.command_line.push(Given::ConfString { schema, text });
                }
                (ConfArg::Inline(text), None) => {
                    let text = text.clone();
                    self.command_line.push(Given::Misplaced { text });
                }
            }
        }
        self.flag("--log", "log.filter", flags.log.as_ref())
            .flag("--log-format", "log.format", flags.log_format)
            .flag(
                "--admin-endpoint",
                "admin.endpoint",
                flags.admin_endpoint.as_ref(),
            )
    }

    /// Sets the dotted `key` if the option was given. `option` is its name as the user
    /// writes it, for messages. Later calls override earlier ones.
    #[must_use]
    pub fn flag<V: Serialize>(mut self, option: &str, key: &str, value: Option<V>) -> Self {
        if let Some(value) = value {
            let mut text = String::new();
            let written = value.serialize(toml::ser::ValueSerializer::new(&mut text));
            let value = match written {
                Ok(_) => Ok(text),
                Err(error) => Err(error.to_string()),
            };
            let (option, key) = (option.to_owned(), key.to_owned());
            self.command_line.push(Given::Flag { option, key, value });
        }
        self
    }

    /// Merges a conf string over the section that `schema` names. To be called whether or
    /// not the option was given: the schema also says which keys of the section cease to
    /// count when another layer changes its `type`.
    #[must_use]
    pub fn conf_string(mut self, schema: &'static ConfSchema, text: Option<&str>) -> Self {
        self.schemas.push(schema);
        if let Some(text) = text {
            let text = text.to_owned();
            self.command_line.push(Given::ConfString { schema, text });
        }
        self
    }

    /// Reads, merges and checks all layers.
    ///
    /// # Errors
    /// A file cannot be read or is not TOML, a variable or an option is malformed, a key
    /// is unknown, or a value is not what its key takes. The error says where.
    pub fn load<C>(self) -> Result<Loaded<C>, ConfigError>
    where
        C: Default + Serialize + DeserializeOwned,
    {
        let variables = environment::variables(&self.program, &self.environment)?;
        let defaults = toml::to_string(&C::default()).map_err(ConfigError::Unprintable)?;
        let count = 1 + self.files.len() + variables.len() + self.command_line.len();
        let texts = vec![OnceCell::new(); count];
        let mut sources = Sources::new(&texts);
        let mut merge = Merge::new(&self.schemas, defaults.len());
        let mut warnings = Vec::new();

        merge.add(sources.parse(Origin::Default, defaults)?);
        for path in self.files {
            let text = std::fs::read_to_string(&path).map_err(|source| {
                let path = path.clone();
                ConfigError::Unreadable { path, source }
            })?;
            merge.add(sources.parse(Origin::File { path, line: 1 }, text)?);
        }
        for variable in variables {
            merge.add(sources.parse(Origin::Environment(variable.name), variable.text)?);
        }
        for given in self.command_line {
            let (origin, text) = given.into_toml(&merge, &mut warnings)?;
            merge.add(sources.parse(origin, text)?);
        }

        let mut merged = merge.finish();
        let config = loop {
            let error = match deserialize(merged.clone()) {
                Ok(config) => break config,
                Err(error) => error,
            };
            let explanation = merge::explain(&merged, &error);
            let at = explanation.at.filter(|_| explanation.wants_text);
            let origin = explanation.at.map(|at| sources.origin(at));
            // A variable does not say whether its number is one, or a text.
            if let (Some(Origin::Environment(name)), Some(at)) = (&origin, at)
                && let Some(text) = environment::text_of(name, &self.environment)
                && merge::make_text(&mut merged, at, text)
            {
                continue;
            }
            return Err(ConfigError::Invalid {
                origin: origin.unwrap_or(Origin::Default),
                key: explanation.key,
                problem: explanation.problem,
            });
        };
        let origins = merge::leaves(&merged)
            .map(|(key, at)| (key, sources.origin(at)))
            .collect();
        Ok(Loaded::new(config, warnings, origins))
    }
}

fn deserialize<C: DeserializeOwned>(table: Spanned<DeTable<'_>>) -> Result<C, toml::de::Error> {
    C::deserialize(Deserializer::from(table))
}

impl Given {
    /// The same as a line or more of TOML.
    fn into_toml(
        self,
        below: &Merge<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(Origin, String), ConfigError> {
        match self {
            Self::Flag { option, key, value } => {
                let origin = Origin::Option(option);
                match value {
                    Ok(value) => Ok((origin, source::assignment(&key, &value))),
                    Err(problem) => Err(ConfigError::Invalid {
                        origin,
                        key,
                        problem,
                    }),
                }
            }
            Self::ConfString { schema, text } => {
                let current = below.text_at(schema.section, TYPE);
                let fragment = schema.read(&text, current)?;
                warnings.extend(fragment.warnings);
                let lines = fragment.table.iter().map(|(key, value)| {
                    source::assignment_in(schema.section, key, &value.to_string())
                });
                Ok((Origin::Option(schema.option.to_owned()), lines.collect()))
            }
            Self::Misplaced { text } => Err(ConfigError::MisplacedConfString { text }),
        }
    }
}

#[cfg(test)]
mod tests;
