//! Credentials of a platform, which no log and no page shows.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// What stands for a secret where it would be shown.
const HIDDEN: &str = "(hidden)";

/// A text that is not shown: `uuid:key`, or the base64 form of it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(String);

/// Why credentials are of no use.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is neither `uuid:key` nor the base64 form of it.
    #[error("they are neither uuid:key nor the base64 form of it")]
    Malformed,
}

impl Secret {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the file at `path` contains, without the space around it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            let path = path.display().to_string();
            CredentialsError::Unreadable { path, source }
        })?;
        Ok(Self(text.trim().to_owned()))
    }

    /// The value of the header `Authorization`; none if there is no secret.
    ///
    /// # Errors
    /// If it is no credentials.
    pub fn authorization(&self) -> Result<Option<HeaderValue>, CredentialsError> {
        if self.is_empty() {
            return Ok(None);
        }
        let encoded = if self.0.contains(':') {
            STANDARD.encode(&self.0)
        } else {
            let decoded = STANDARD.decode(&self.0).ok();
            let pair = decoded.is_some_and(|bytes| bytes.contains(&b':'));
            pair.then(|| self.0.clone())
                .ok_or(CredentialsError::Malformed)?
        };
        let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
            .map_err(|_| CredentialsError::Malformed)?;
        value.set_sensitive(true);
        Ok(Some(value))
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

    fn header(text: &str) -> Result<Option<HeaderValue>, CredentialsError> {
        Secret::from(text.to_owned()).authorization()
    }

    #[test]
    fn both_forms_become_the_same_header() {
        let plain = header("user:key").unwrap().unwrap();
        assert_eq!(plain, header("dXNlcjprZXk=").unwrap().unwrap());
        assert_eq!(plain, "Basic dXNlcjprZXk=");
        assert!(plain.is_sensitive());
        assert_eq!(header("").unwrap(), None);
        for wrong in ["nonsense", "dXNlcg=="] {
            assert!(header(wrong).is_err());
        }
    }

    #[test]
    fn nothing_shows_them() {
        let secret = Secret::from("user:key".to_owned());
        assert_eq!(format!("{secret:?}"), HIDDEN);
        assert_eq!(
            serde_json::to_string(&secret).unwrap(),
            format!("\"{HIDDEN}\"")
        );
    }
}
