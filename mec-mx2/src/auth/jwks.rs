//! Tokens that an authorisation server has signed (RFC 7519), as OAuth 2.0 hands them out for the
//! credentials of a client: checked by the keys of a file (RFC 7517), without asking that server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonwebtoken::errors::Error as JwtError;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

/// Largest file, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Keys that a file may hold: a token that does not say whose it is is checked by all of them.
const MAX_KEYS: usize = 64;
/// Shortest secret of a symmetric key, in bytes: the size of the smallest hash (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// Longest name that a token may give its bearer, in bytes.
const MAX_SUBJECT_BYTES: usize = 256;

/// A file that holds no keys to check tokens by.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It cannot be read.
    #[error("cannot read keys from {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no key set. What it says is not repeated: it may be secret.
    #[error("{}: expected a JSON Web Key Set, `{{\"keys\": [...]}}`, of 1 to {MAX_KEYS} keys", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// One of its keys is of no use.
    #[error("{}, key {number}: {problem}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// The keys that are trusted, and what tokens have to say besides.
pub(crate) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

/// What a token says of its bearer.
#[derive(Debug, Deserialize)]
struct Claims {
    sub: Option<String>,
    /// Of a client that asks for itself (RFC 9068, 2.2).
    client_id: Option<String>,
}

impl Keys {
    /// Reads a key set. Tokens have to be of `issuer` and for `audience`, where those are given.
    pub(crate) fn read(
        path: &Path,
        issuer: Option<&str>,
        audience: Option<&str>,
    ) -> Result<Self, JwksError> {
        let text = std::fs::read(path).map_err(|source| JwksError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let malformed = || JwksError::Malformed {
            path: path.to_owned(),
        };
        if text.len() > MAX_BYTES {
            return Err(malformed());
        }
        let set: JwkSet = serde_json::from_slice(&text).map_err(|_| malformed())?;
        let mut keys = Vec::new();
        for (index, jwk) in set.keys.iter().enumerate() {
            // Not for signatures.
            if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
                continue;
            }
            let key = Key::new(jwk, issuer, audience).map_err(|problem| JwksError::Key {
                path: path.to_owned(),
                number: index + 1,
                problem,
            })?;
            keys.push(key);
        }
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(malformed());
        }
        Ok(Self(keys))
    }

    /// Who bears `token`, if it is good now.
    pub(super) fn subject(&self, token: &str) -> Option<Arc<str>> {
        let header = decode_header(token).ok()?;
        let fits = |key: &&Key| {
            let of_that_name = match (&key.id, &header.kid) {
                (Some(own), Some(named)) => own == named,
                _ => true,
            };
            of_that_name && key.validation.algorithms.contains(&header.alg)
        };
        self.0
            .iter()
            .filter(fits)
            .find_map(|key| key.subject(token))
    }
}

impl Key {
    fn new(jwk: &Jwk, issuer: Option<&str>, audience: Option<&str>) -> Result<Self, String> {
        if let AlgorithmParameters::Other(_) = jwk.algorithm {
            return Err("its kind is not known; there are RSA, EC, OKP and oct".to_owned());
        }
        let explain = |error: JwtError| error.to_string();
        let key = DecodingKey::from_jwk(jwk).map_err(explain)?;
        if let AlgorithmParameters::OctetKey(_) = jwk.algorithm
            && key.try_get_as_bytes().map_err(explain)?.len() < MIN_SECRET_BYTES
        {
            return Err(format!("it is shorter than {MIN_SECRET_BYTES} bytes"));
        }
        let mut validation = Validation::new_for_family(key.family());
        if let Some(named) = jwk.common.key_algorithm {
            validation
                .algorithms
                .retain(|algorithm| KeyAlgorithm::from(*algorithm) == named);
            if validation.algorithms.is_empty() {
                return Err("its algorithm is not of its kind".to_owned());
            }
        }
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        Ok(Self {
            id: jwk.common.key_id.clone(),
            key,
            validation,
        })
    }

    fn subject(&self, token: &str) -> Option<Arc<str>> {
        let claims: Claims = decode(token, &self.key, &self.validation).ok()?.claims;
        let subject = claims.sub.or(claims.client_id)?;
        (1..=MAX_SUBJECT_BYTES)
            .contains(&subject.len())
            .then(|| subject.into())
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // They may be secret.
        write!(f, "Keys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"a secret of thirty-two bytes, or";

    fn oct(id: &str) -> Value {
        json!({"kty": "oct", "kid": id, "k": URL_SAFE_NO_PAD.encode(SECRET)})
    }

    /// A key pair: what signs, and what is published.
    fn elliptic(id: &str) -> (EncodingKey, Value) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let signs = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&signs, Algorithm::ES256).unwrap());
        let published = jwk.as_mut().unwrap();
        published["kid"] = json!(id);
        (signs, jwk.unwrap())
    }

    fn read(keys: &[Value], issuer: Option<&str>, audience: Option<&str>) -> Result<Keys, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json!({ "keys": keys }).to_string()).unwrap();
        Keys::read(file.path(), issuer, audience).map_err(|error| error.to_string())
    }

    fn in_an_hour() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs() + 3600
    }

    fn sign(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
        let header = Header {
            kid: id.map(str::to_owned),
            ..Header::new(algorithm)
        };
        encode(&header, claims, key).unwrap()
    }

    #[test]
    fn tokens_that_a_known_key_signed_say_who_it_is() {
        let (signs, published) = elliptic("one");
        let (stranger, _) = elliptic("one");
        let keys = read(&[oct("two"), published], None, None).unwrap();
        let claims = json!({"sub": "alice", "exp": in_an_hour(), "aud": "whoever"});
        let subject = |token: String| keys.subject(&token);
        for id in [Some("one"), None] {
            let token = sign(Algorithm::ES256, id, &signs, &claims);
            assert_eq!(subject(token).as_deref(), Some("alice"));
        }
        let secret = EncodingKey::from_secret(SECRET).unwrap();
        let by_client = json!({"client_id": "c", "exp": in_an_hour()});
        let token = sign(Algorithm::HS256, Some("two"), &secret, &by_client);
        assert_eq!(subject(token).as_deref(), Some("c"));
        // By another key, of another name, or of nobody.
        assert_eq!(
            subject(sign(Algorithm::ES256, Some("one"), &stranger, &claims)),
            None
        );
        assert_eq!(
            subject(sign(Algorithm::ES256, Some("two"), &signs, &claims)),
            None
        );
        let nobody = json!({"exp": in_an_hour()});
        assert_eq!(subject(sign(Algorithm::ES256, None, &signs, &nobody)), None);
    }

    #[test]
    fn times_issuer_and_audience_count() {
        let secret = EncodingKey::from_secret(SECRET).unwrap();
        let keys = read(&[oct("k")], Some("https://issuer"), Some("mx2")).unwrap();
        let good =
            json!({"sub": "a", "exp": in_an_hour(), "iss": "https://issuer", "aud": ["x", "mx2"]});
        let subject = |claims: &Value| keys.subject(&sign(Algorithm::HS384, None, &secret, claims));
        assert!(subject(&good).is_some());
        for (member, value) in [
            ("exp", json!(in_an_hour() - 7200)),
            ("exp", Value::Null),
            ("exp", json!("soon")),
            ("nbf", json!(in_an_hour())),
            ("iss", json!("https://other")),
            ("iss", Value::Null),
            ("aud", json!("x")),
            ("aud", Value::Null),
            ("sub", json!("")),
            ("sub", json!("x".repeat(257))),
        ] {
            let mut bad = good.clone();
            bad[member] = value.clone();
            assert_eq!(subject(&bad), None, "{member} {value}");
        }
    }

    #[test]
    fn nobody_chooses_how_the_token_is_checked() {
        let (_, published) = elliptic("one");
        // A public key is no secret to sign with, and no signature is none.
        let x = published["x"].as_str().unwrap().to_owned();
        let keys = read(&[published], None, None).unwrap();
        let claims = json!({"sub": "mallory", "exp": in_an_hour()});
        let public = EncodingKey::from_secret(x.as_bytes()).unwrap();
        let forged = sign(Algorithm::HS256, None, &public, &claims);
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&claims));
        let nonsense = ["", ".", "..", "a.b.c", "\u{0}.\u{0}.\u{0}"].map(str::to_owned);
        for token in [forged, unsigned].into_iter().chain(nonsense) {
            assert_eq!(keys.subject(&token), None, "{token}");
        }
    }

    #[test]
    fn keys_that_are_none_are_told_by_number_and_not_repeated() {
        let short = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("secret")});
        let mut wrong = oct("k");
        wrong["alg"] = json!("RS256");
        for bad in [short, wrong, json!({"kty": "?"})] {
            let told = read(&[oct("good"), bad], None, None).unwrap_err();
            assert!(told.contains("key 2"), "{told}");
            assert!(!told.contains(&URL_SAFE_NO_PAD.encode(SECRET)), "{told}");
        }
        let encrypts = json!({"kty": "oct", "use": "enc", "k": "AAAA"});
        for keys in [&[][..], &[encrypts]] {
            assert!(read(keys, None, None).unwrap_err().contains("Key Set"));
        }
    }
}
