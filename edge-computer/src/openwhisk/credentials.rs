//! Credentials of a platform: as they are configured, and as it wants to see them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edge_daemon::Secret;
use http::HeaderValue;

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

/// What the file at `path` contains, without the space around it.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(path: &Path) -> Result<Secret, CredentialsError> {
    let text = std::fs::read_to_string(path).map_err(|source| {
        let path = path.display().to_string();
        CredentialsError::Unreadable { path, source }
    })?;
    Ok(text.trim().to_owned().into())
}

/// The value of the header `Authorization` for `uuid:key`, or the base64 form of it; none if there
/// is no secret.
///
/// # Errors
/// If it is no credentials.
pub(super) fn authorization(secret: &Secret) -> Result<Option<HeaderValue>, CredentialsError> {
    if secret.is_empty() {
        return Ok(None);
    }
    let text = secret.expose();
    let encoded = if text.contains(':') {
        STANDARD.encode(text)
    } else {
        let decoded = STANDARD.decode(text).ok();
        let pair = decoded.is_some_and(|bytes| bytes.contains(&b':'));
        pair.then(|| text.to_owned())
            .ok_or(CredentialsError::Malformed)?
    };
    let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
        .map_err(|_| CredentialsError::Malformed)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Option<HeaderValue>, CredentialsError> {
        authorization(&Secret::from(text.to_owned()))
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
}
