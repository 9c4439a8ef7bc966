//! A text of the configuration that no log, error or page shows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands for a secret where it would be shown.
const HIDDEN: &str = "(hidden)";

/// A text that is not shown, like a password or a key. Empty means that there is none.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(String);

impl Secret {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text itself, for those who need it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(none)" } else { HIDDEN })
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::from("user:key".to_owned());
        assert_eq!(format!("{secret:?}"), HIDDEN);
        let shown = toml::Value::try_from(&secret).unwrap();
        assert_eq!(shown.as_str(), Some(HIDDEN));
        assert_eq!(format!("{:?}", Secret::default()), "(none)");
    }
}
