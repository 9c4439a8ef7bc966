//! What can be wrong with a configuration, and where it was written.

use std::{fmt, io, path::PathBuf};

use crate::conf_string::ConfStringError;

/// Where a key of the configuration was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nowhere: it is the built-in default.
    Default,
    /// In a file.
    File {
        /// The path as it was given.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In the environment variable of this name.
    Environment(String),
    /// In the option of this name, dashes included.
    Option(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Option(name) => write!(f, "option {name}"),
        }
    }
}

/// A configuration that cannot be used. The user's to mend: programs exit with code 2.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file does not open, or is not text.
    #[error("cannot read configuration file {}", path.display())]
    Unreadable {
        /// The path as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not TOML.
    #[error("{origin}: {problem}")]
    Syntax {
        /// The file and line, or the variable.
        origin: Origin,
        /// What the parser missed.
        problem: String,
    },
    /// An unknown key, or a value that its key does not take.
    #[error("{origin}: {}{problem}", prefix(key))]
    Invalid {
        /// Where it was written.
        origin: Origin,
        /// The dotted key; empty when the problem is with the whole.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// An option got a conf string that it cannot use.
    #[error(transparent)]
    ConfString(#[from] ConfStringError),
    /// `--conf` got a conf string in a program that takes only files there.
    #[error(
        "option --conf: `{text}` is a conf string, but this program takes the path of a TOML file"
    )]
    MisplacedConfString {
        /// The string.
        text: String,
    },
    /// The configuration has no representation in TOML: a fault of the program, not of
    /// its user.
    #[error("the configuration cannot be written as TOML")]
    Unprintable(#[source] toml::ser::Error),
}

fn prefix(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!("`{key}`: ")
    }
}
