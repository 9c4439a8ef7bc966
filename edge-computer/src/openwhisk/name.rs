//! Names of actions: namespace, package, name, and the forms that they are written in.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a segment of a path as it is (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Longest part of a name, in characters.
const MAX_PART: usize = 256;

/// The full name of an action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionName {
    /// The namespace; `_` is that of the caller.
    pub namespace: String,
    /// The package, if it is in one.
    pub package: Option<String>,
    /// The name within it.
    pub name: String,
}

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no name of an action: namespace, package and name are words of at most 256 characters"
)]
pub struct NameError(String);

impl ActionName {
    /// Reads `/namespace/name`, `/namespace/package/name`, the same without the first slash, or
    /// `name` in the namespace of the caller.
    ///
    /// # Errors
    /// If it has too many parts, or one that OpenWhisk does not take.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        let name = match parts[..] {
            [name] => Self::new("_", None, name),
            [namespace, name] => Self::new(namespace, None, name),
            [namespace, package, name] => Self::new(namespace, Some(package), name),
            _ => return Err(NameError(text.to_owned())),
        };
        let valid = parts.iter().all(|part| is_valid(part));
        valid
            .then_some(name)
            .ok_or_else(|| NameError(text.to_owned()))
    }

    /// As listings have it: the package is part of the namespace there.
    ///
    /// # Errors
    /// If a part is not what OpenWhisk takes.
    pub fn listed(namespace: &str, name: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{namespace}/{name}"))
    }

    fn new(namespace: &str, package: Option<&str>, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            package: package.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// Without its namespace: `name` or `package/name`.
    pub fn short(&self) -> String {
        match &self.package {
            Some(package) => format!("{package}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The path of the action below `/api/v1/`.
    pub fn path(&self) -> String {
        let segment = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        let package = self
            .package
            .as_deref()
            .map(|package| segment(package) + "/");
        format!(
            "namespaces/{}/actions/{}{}",
            segment(&self.namespace),
            package.unwrap_or_default(),
            segment(&self.name)
        )
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.namespace, self.short())
    }
}

/// Whether OpenWhisk takes it as a namespace, a package or a name: a word character, then word
/// characters, `@`, spaces, `.`, `&` and `-`, not ending in a space.
pub fn is_valid(part: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let inner = |c: char| word(c) || matches!(c, '@' | ' ' | '.' | '&' | '-');
    part.chars().count() <= MAX_PART
        && part.starts_with(word)
        && part.chars().all(inner)
        && !part.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_all_their_forms() {
        let read = |text: &str| ActionName::parse(text).map(|name| name.to_string());
        assert_eq!(read("hello").unwrap(), "/_/hello");
        assert_eq!(read("/guest/hello").unwrap(), "/guest/hello");
        assert_eq!(read("guest/pkg/hello").unwrap(), "/guest/pkg/hello");
        assert_eq!(
            ActionName::listed("guest/pkg", "a b").unwrap().short(),
            "pkg/a b"
        );
        for wrong in [
            "",
            "/",
            "/a/b/c/d",
            "/guest/",
            "-a",
            "a ",
            "a/ü",
            "a?b",
            "..",
            &"x".repeat(257),
        ] {
            assert!(wrong == "/guest/" || read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        let name = ActionName::listed("guest/my pkg", "a&b@c").unwrap();
        assert_eq!(name.path(), "namespaces/guest/actions/my%20pkg/a%26b%40c");
    }
}
