//! Names as OpenWhisk writes them, and the lambdas that are meant by them.

mod known;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use self::known::Known;

/// Longest name of an entity, in bytes.
const MAX_NAME: usize = 256;

/// What stands for the caller's own namespace.
pub(crate) const OWN: &str = "_";

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name is not valid: 1 to {MAX_NAME} letters, digits, `_`, `@`, `.`, `&`, `-` and spaces, \
     beginning with a letter, a digit or `_` and not ending in a space"
)]
pub(crate) struct InvalidName;

/// Whether `text` can be the name of a namespace, package or action.
pub(crate) fn check(text: &str) -> Result<(), InvalidName> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inner = |byte: u8| word(byte) || b"@ .&-".contains(&byte);
    let bytes = text.as_bytes();
    let valid = matches!(bytes.first(), Some(first) if word(*first))
        && bytes.len() <= MAX_NAME
        && bytes.iter().all(|byte| inner(*byte))
        && bytes.last() != Some(&b' ');
    valid.then_some(()).ok_or(InvalidName)
}

/// An action by its full name, `/namespace[/package]/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ActionName {
    /// All of it, which begins with a slash.
    full: Arc<str>,
    /// Where the namespace ends, without the slash after it.
    namespace_end: usize,
}

impl ActionName {
    /// An action of `namespace`, which has been checked.
    ///
    /// # Errors
    /// If package or name are not valid.
    pub(crate) fn new(
        namespace: &str,
        package: Option<&str>,
        name: &str,
    ) -> Result<Self, InvalidName> {
        package.map_or(Ok(()), check)?;
        check(name)?;
        let full = match package {
            Some(package) => format!("/{namespace}/{package}/{name}"),
            None => format!("/{namespace}/{name}"),
        };
        Ok(Self {
            full: full.into(),
            namespace_end: 1 + namespace.len(),
        })
    }

    /// Reads `/namespace[/package]/name`, `/_/name`, `package/name` or `name`, as sequences and
    /// bindings have them; what names no namespace is of `own`.
    ///
    /// # Errors
    /// If a part of it is not valid, or there are too many.
    pub(crate) fn parse(text: &str, own: &str) -> Result<Self, InvalidName> {
        let (namespace, rest) = match text.strip_prefix('/') {
            Some(rooted) => rooted.split_once('/').ok_or(InvalidName)?,
            None => (own, text),
        };
        let namespace = if namespace == OWN { own } else { namespace };
        check(namespace)?;
        match rest.split_once('/') {
            Some((package, name)) => Self::new(namespace, Some(package), name),
            None => Self::new(namespace, None, rest),
        }
    }

    /// The text of a name and where its namespace ends.
    pub(crate) fn parts(&self) -> (&str, usize) {
        (&self.full, self.namespace_end)
    }

    /// The name of which these are the [`parts`](Self::parts).
    pub(crate) fn of_parts(full: &str, namespace_end: usize) -> Self {
        Self {
            full: full.into(),
            namespace_end,
        }
    }

    /// `/namespace[/package]/name`.
    pub(crate) fn full(&self) -> &str {
        &self.full
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.full[1..self.namespace_end]
    }

    /// `[package/]name`.
    pub(crate) fn short(&self) -> &str {
        &self.full[self.namespace_end + 1..]
    }

    pub(crate) fn package(&self) -> Option<&str> {
        self.short().split_once('/').map(|(package, _)| package)
    }

    pub(crate) fn name(&self) -> &str {
        let short = self.short();
        short.split_once('/').map_or(short, |(_, name)| name)
    }

    /// `namespace[/package]`, under which OpenWhisk lists it.
    pub(crate) fn folder(&self) -> &str {
        let full = &self.full[1..];
        &full[..full.rfind('/').unwrap_or(full.len())]
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl Serialize for ActionName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.full)
    }
}

impl<'de> Deserialize<'de> for ActionName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text, "").map_err(serde::de::Error::custom)
    }
}

/// Which lambda an action stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NameMode {
    /// In the default namespace `name` or `/namespace/name`, whichever is served, in others
    /// `/namespace/name`.
    #[default]
    Auto,
    /// Always `[package/]name`: all namespaces share the lambdas.
    Short,
    /// Always `/namespace[/package]/name`.
    Fqn,
}

/// How names of actions become names of lambdas, and back.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    pub(crate) mode: NameMode,
    /// The namespace whose lambdas may go by their short names in [`NameMode::Auto`].
    pub(crate) default: Arc<str>,
}

/// The lambdas that may be meant by an action, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidates<'a>(pub(crate) &'a str, pub(crate) Option<&'a str>);

impl Naming {
    /// What to ask for, if `is_served` knows what can be had. `written_out`: the client wrote the
    /// namespace rather than `_`.
    pub(crate) fn lambdas<'a>(
        &self,
        action: &'a ActionName,
        written_out: bool,
        is_served: impl Fn(&str) -> bool,
    ) -> Candidates<'a> {
        let (short, full) = (action.short(), action.full());
        match self.mode {
            NameMode::Short => Candidates(short, None),
            NameMode::Fqn => Candidates(full, None),
            NameMode::Auto if action.namespace() != &*self.default => Candidates(full, None),
            NameMode::Auto => {
                let (first, second) = if written_out {
                    (full, short)
                } else {
                    (short, full)
                };
                // One request less for what is known to be elsewhere.
                if !is_served(first) && is_served(second) {
                    Candidates(second, Some(first))
                } else {
                    Candidates(first, Some(second))
                }
            }
        }
    }

    /// The action of `namespace` as which it sees `lambda`, if it does.
    pub(crate) fn action(&self, namespace: &str, lambda: &str) -> Option<ActionName> {
        let rooted = lambda.starts_with('/');
        let visible = match self.mode {
            NameMode::Short => !rooted,
            NameMode::Fqn => rooted,
            NameMode::Auto => rooted || namespace == &*self.default,
        };
        let action = ActionName::parse(lambda, namespace).ok()?;
        let of_it = rooted || self.mode == NameMode::Short || namespace == &*self.default;
        (visible && of_it && action.namespace() == namespace).then_some(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(mode: NameMode) -> Naming {
        let default = "guest".into();
        Naming { mode, default }
    }

    #[test]
    fn names_are_those_of_openwhisk() {
        for valid in ["a", "_", "A b.c@d&e-f", "0", &"x".repeat(256)] {
            assert_eq!(check(valid), Ok(()), "{valid}");
        }
        for invalid in [
            "",
            " a",
            "a ",
            "-a",
            "@",
            "a/b",
            "ä",
            "a\n",
            "a*",
            &"x".repeat(257),
        ] {
            assert_eq!(check(invalid), Err(InvalidName), "{invalid}");
        }
    }

    #[test]
    fn the_parts_of_a_name_are_found_again() {
        let action = ActionName::parse("/guest/tools/hello", "me").unwrap();
        let parts = (action.namespace(), action.package(), action.name());
        assert_eq!(parts, ("guest", Some("tools"), "hello"));
        assert_eq!(
            (action.short(), action.folder()),
            ("tools/hello", "guest/tools")
        );
        for text in ["/_/hello", "hello", "/me/hello"] {
            let action = ActionName::parse(text, "me").unwrap();
            let parts = (action.namespace(), action.package(), action.name());
            assert_eq!(parts, ("me", None, "hello"));
            assert_eq!(action.folder(), "me");
        }
        for text in ["", "/", "/a", "//a", "/a/", "/a/b/c/d", "a/b/c", "/a//b"] {
            assert!(ActionName::parse(text, "me").is_err(), "{text}");
        }
    }

    #[test]
    fn in_auto_mode_the_default_namespace_finds_both_forms() {
        let action = ActionName::parse("/guest/hello", "guest").unwrap();
        let naming = naming(NameMode::Auto);
        let none = |_: &str| false;
        let ask = |written, served: &dyn Fn(&str) -> bool| {
            let Candidates(first, second) = naming.lambdas(&action, written, served);
            (first, second)
        };
        assert_eq!(ask(false, &none), ("hello", Some("/guest/hello")));
        assert_eq!(ask(true, &none), ("/guest/hello", Some("hello")));
        let short = |name: &str| name == "hello";
        assert_eq!(ask(true, &short), ("hello", Some("/guest/hello")));
        let other = ActionName::parse("/other/hello", "other").unwrap();
        assert_eq!(
            naming.lambdas(&other, false, none),
            Candidates("/other/hello", None)
        );
    }

    #[test]
    fn lambdas_are_seen_by_the_namespaces_that_can_invoke_them() {
        let seen = |mode, namespace: &str, lambda: &str| {
            let action = naming(mode).action(namespace, lambda);
            action.map(|action| action.full().to_owned())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(seen(NameMode::Auto, "guest", "f"), some("/guest/f"));
        assert_eq!(
            seen(NameMode::Auto, "guest", "/guest/p/f"),
            some("/guest/p/f")
        );
        assert_eq!(seen(NameMode::Auto, "me", "f"), None);
        assert_eq!(seen(NameMode::Auto, "me", "/guest/f"), None);
        assert_eq!(seen(NameMode::Short, "me", "f"), some("/me/f"));
        assert_eq!(seen(NameMode::Short, "me", "/me/f"), None);
        assert_eq!(seen(NameMode::Fqn, "guest", "f"), None);
        assert_eq!(seen(NameMode::Fqn, "me", "/me/f"), some("/me/f"));
        assert_eq!(seen(NameMode::Auto, "guest", "no way!"), None);
    }
}
