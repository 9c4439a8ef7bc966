//! The file of credentials: lines of `namespace uuid key [scopes] [limits]`.
//!
//! A key stands there as it is, or as `sha256:` and 64 hexadecimal digits. Scopes are `read`,
//! `invoke` and `write`, separated by commas, or `all`; limits are
//! `invocations-per-minute=N,concurrent-invocations=N`. `#` begins a comment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

use super::{Allowance, Identity, Pair, Scope, Scopes};
use crate::names;

/// Largest file, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// SHA-256 of a key. Keys are long and random: nothing slower is called for.
type Digest = [u8; 32];

/// All who are known, by user.
#[derive(Debug, Default)]
pub(crate) struct Credentials(HashMap<String, (Digest, Identity)>);

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("cannot read the credentials in {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is not as it should be.
    #[error("{}, line {line}: {problem}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, without the key.
        problem: String,
    },
}

/// Reads a file; who has no limits of their own gets `usual`.
///
/// # Errors
/// If it cannot be read, or a line makes no sense.
pub(crate) fn read(path: &Path, usual: Allowance) -> Result<Credentials, CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(unreadable(std::io::Error::other("larger than 16 MiB")));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(&text, usual).map_err(|(line, problem)| CredentialsError::Line {
        path: path.to_owned(),
        line,
        problem,
    })
}

fn parse(text: &str, usual: Allowance) -> Result<Credentials, (usize, String)> {
    let mut all = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = without_remark(line).trim();
        if line.is_empty() {
            continue;
        }
        let (user, digest, identity) =
            entry(line, usual).map_err(|problem| (index + 1, problem))?;
        if all.insert(user.clone(), (digest, identity)).is_some() {
            return Err((index + 1, format!("{user} was there before")));
        }
    }
    Ok(Credentials(all))
}

/// A remark begins with `#` at the beginning of a word: within one it is part of a key.
fn without_remark(line: &str) -> &str {
    let mut marks = line.match_indices('#').map(|(at, _)| &line[..at]);
    let before = marks.find(|before| !before.ends_with(|last: char| !last.is_whitespace()));
    before.unwrap_or(line)
}

fn entry(line: &str, usual: Allowance) -> Result<(String, Digest, Identity), String> {
    let mut words = line.split_whitespace();
    let (Some(namespace), Some(user), Some(key)) = (words.next(), words.next(), words.next())
    else {
        return Err("expected `namespace uuid key [scopes] [limits]`".to_owned());
    };
    names::check(namespace).map_err(|error| format!("namespace: {error}"))?;
    if namespace == names::OWN {
        return Err("`_` is no namespace".to_owned());
    }
    if user.contains(':') {
        return Err("a user has no colon in it".to_owned());
    }
    let (mut scopes, mut allowance) = (Scopes::ALL, usual);
    for word in words {
        if word.contains('=') {
            allowance = limits(word, allowance)?;
        } else {
            scopes = scopes_of(word)?;
        }
    }
    let identity = Identity {
        namespace: namespace.into(),
        scopes,
        allowance,
        anywhere: false,
    };
    Ok((user.to_owned(), digest_of(key)?, identity))
}

fn digest_of(key: &str) -> Result<Digest, String> {
    let Some(hex) = key.strip_prefix("sha256:") else {
        return Ok(hash(key));
    };
    let malformed = || "`sha256:` has to be followed by 64 hexadecimal digits".to_owned();
    if hex.len() != 64 || !hex.is_ascii() {
        return Err(malformed());
    }
    let mut digest = Digest::default();
    for (byte, digits) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| malformed())?;
    }
    Ok(digest)
}

fn scopes_of(word: &str) -> Result<Scopes, String> {
    let mut scopes = Scopes::NONE;
    for scope in word.split(',') {
        scopes = match scope {
            "all" => Scopes::ALL,
            "read" => scopes.with(Scope::Read),
            "invoke" => scopes.with(Scope::Invoke),
            "write" => scopes.with(Scope::Write),
            other => {
                return Err(format!(
                    "unknown scope `{other}`; there are read, invoke, write, all"
                ));
            }
        };
    }
    Ok(scopes)
}

fn limits(word: &str, mut allowance: Allowance) -> Result<Allowance, String> {
    for pair in word.split(',') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number = value
            .parse()
            .map_err(|_| format!("{key}: `{value}` is no number from 0 to 4294967295"))?;
        match key {
            "invocations-per-minute" => allowance.invocations_per_minute = number,
            "concurrent-invocations" => allowance.concurrent_invocations = number,
            other => {
                return Err(format!(
                    "unknown limit `{other}`; there are invocations-per-minute and \
                     concurrent-invocations"
                ));
            }
        }
    }
    Ok(allowance)
}

fn hash(key: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    bytes
}

impl Credentials {
    /// Those of one client.
    pub(crate) fn only(pair: &Pair, identity: Identity) -> Self {
        let entry = (hash(&pair.key), identity);
        Self(HashMap::from([(pair.user.clone(), entry)]))
    }

    /// Whose user and key these are. How long it takes says nothing about the key.
    pub(crate) fn find(&self, user: &str, key: &str) -> Option<Identity> {
        let given = hash(key);
        let known = self.0.get(user);
        let expected = known.map_or(Digest::default(), |(digest, _)| *digest);
        let equal = verify_slices_are_equal(&given, &expected).is_ok();
        known
            .filter(|_| equal)
            .map(|(_, identity)| identity.clone())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Allowance = Allowance {
        invocations_per_minute: 7,
        concurrent_invocations: 0,
    };

    #[test]
    fn users_are_found_by_plain_and_hashed_keys() {
        // SHA-256 of "secret".
        let hashed = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let text = format!(
            "# who  user key\n\nalice u1 secret\nbob u2 sha256:{hashed} read,invoke \
             concurrent-invocations=3 # a comment\n"
        );
        let all = parse(&text, USUAL).unwrap();
        assert_eq!(all.len(), 2);
        let alice = all.find("u1", "secret").unwrap();
        assert_eq!((&*alice.namespace, alice.scopes), ("alice", Scopes::ALL));
        assert_eq!(alice.allowance, USUAL);
        let bob = all.find("u2", "secret").unwrap();
        assert!(bob.scopes.has(Scope::Read) && bob.scopes.has(Scope::Invoke));
        assert!(!bob.scopes.has(Scope::Write));
        assert_eq!(bob.allowance.concurrent_invocations, 3);
        assert_eq!(bob.allowance.invocations_per_minute, 7);
        assert_eq!(all.find("u1", "Secret"), None);
        assert_eq!(all.find("u3", "secret"), None);
        assert_eq!(all.find("", ""), None);
    }

    #[test]
    fn a_mark_within_a_key_is_a_part_of_it() {
        let all = parse("alice u1 se#cret read# # bob\n", USUAL);
        assert_eq!(all.unwrap_err().0, 1, "`read#` is no scope");
        let all = parse("alice u1 se#cret# #read\n\t# x\nbob u2 a#b\t#", USUAL).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all.find("u1", "se"), None);
        assert_eq!(all.find("u1", "se#cret#").unwrap().scopes, Scopes::ALL);
        assert!(all.find("u2", "a#b").is_some());
    }

    #[test]
    fn errors_name_the_line_and_not_the_key() {
        for (text, line) in [
            ("alice u1", 1),
            ("# c\n- u1 secret", 2),
            ("_ u1 secret", 1),
            ("a u:1 secret", 1),
            ("a u secret\nb u secret", 2),
            ("a u secret everything", 1),
            ("a u secret x=1", 1),
            ("a u secret invocations-per-minute=-1", 1),
            ("a u sha256:secret", 1),
        ] {
            let (at, problem) = parse(text, USUAL).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
