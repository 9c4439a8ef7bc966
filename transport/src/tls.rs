//! Mutual TLS from the files and variables of the reference, with errors that say what is missing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, CipherSuite, RootCertStore, SupportedCipherSuite};
pub use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Where certificates and keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate of the authority that signed both sides' certificates.
    pub ca_certificate: PathBuf,
    /// Certificate chain that our servers show.
    pub server_certificate: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// Certificate chain that our clients show.
    pub client_certificate: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `CERT_DIR` is no folder.
    #[error("Invalid CERT_DIR: {}", .0.display())]
    Folder(PathBuf),
    /// A file cannot be read or holds nothing of the kind.
    #[error("cannot read the {what} from {} (set {variable} or CERT_DIR to change the place): {reason}", .path.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The variable that names the file.
        variable: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not fit, or the authority is no authority.
    #[error("cannot use {}: {reason}", .path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// QUIC is asked for, and there is nothing to encrypt it with.
    #[error(
        "QUIC is always encrypted and needs certificates; the variable CERT_DIR names the folder of \
         ca.crt, server.crt, server.key, client.crt and client.key: {0}"
    )]
    NoQuic(#[source] Box<TlsError>),
}

impl TlsError {
    /// The same where it was QUIC that asked for certificates.
    #[must_use]
    pub fn for_quic(self) -> Self {
        Self::NoQuic(Box::new(self))
    }
}

impl TlsFiles {
    /// The files that the environment names: `CERT_DIR` (default: the current
    /// folder), and within it `CA_CRT` (`ca.crt`), `SERVER_CRT`, `SERVER_KEY`,
    /// `CLIENT_CRT`, `CLIENT_KEY` (`server.crt` and so on).
    ///
    /// # Errors
    /// If `CERT_DIR` is no folder.
    pub fn from_environment() -> Result<Self, TlsError> {
        Self::from_variables(|name| std::env::var_os(name).map(PathBuf::from))
    }

    /// As [`Self::from_environment`], with the variables looked up by `get`.
    ///
    /// # Errors
    /// If `CERT_DIR` is no folder.
    pub fn from_variables(get: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, TlsError> {
        let folder = get("CERT_DIR").unwrap_or_default();
        if !folder.as_os_str().is_empty() && !folder.is_dir() {
            return Err(TlsError::Folder(folder));
        }
        let file = |variable: &str, default: &str| {
            folder.join(get(variable).unwrap_or_else(|| PathBuf::from(default)))
        };
        Ok(Self {
            ca_certificate: file("CA_CRT", "ca.crt"),
            server_certificate: file("SERVER_CRT", "server.crt"),
            server_key: file("SERVER_KEY", "server.key"),
            client_certificate: file("CLIENT_CRT", "client.crt"),
            client_key: file("CLIENT_KEY", "client.key"),
        })
    }

    /// For our servers: TLS 1.2 or 1.3, clients must show a certificate.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.server_certificate, "server certificate", "SERVER_CRT")?;
        let key = key(&self.server_key, "server key", "SERVER_KEY")?;
        warn_about_names(&self.server_certificate, &chain);
        let unusable = |path: &Path, reason: String| TlsError::Unusable {
            path: path.to_owned(),
            reason,
        };
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider())
            .build()
            .map_err(|error| unusable(&self.ca_certificate, error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.server_certificate, error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&self.server_certificate, describe(&error)))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// For our clients: servers are verified, and get to see our certificate.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let chain = certificates(&self.client_certificate, "client certificate", "CLIENT_CRT")?;
        let key = key(&self.client_key, "client key", "CLIENT_KEY")?;
        let unusable = |reason: String| TlsError::Unusable {
            path: self.client_certificate.clone(),
            reason,
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable(describe(&error)))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca_certificate, "CA certificate", "CA_CRT")? {
            roots.add(certificate).map_err(|error| TlsError::Unusable {
                path: self.ca_certificate.clone(),
                reason: describe(&error),
            })?;
        }
        Ok(Arc::new(roots))
    }
}

/// The cryptography of the library, of which AES with keys of 128 bits is preferred: it takes ten rounds
/// for each block, and that with 256 bits, which the library prefers, fourteen. Peers that prefer another
/// suite get it: a server takes the first of the client's that it knows.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| !has_128_bits(suite));
    Arc::new(provider)
}

fn has_128_bits(suite: &SupportedCipherSuite) -> bool {
    matches!(
        suite.suite(),
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

/// Draws random bytes on this thread. Each has a generator of its own, which is seeded when it is
/// first used: that takes tens of milliseconds of the processor.
pub(crate) fn seed() {
    // Whatever fails here fails in the first handshake again, which says so.
    let _seeded = provider().secure_random.fill(&mut [0]);
    #[cfg(test)]
    SEEDED.set(true);
}

#[cfg(test)]
thread_local! {
    /// Whether this thread has been through [`seed`].
    pub(crate) static SEEDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn certificates(
    path: &Path,
    what: &'static str,
    variable: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |reason: String| TlsError::File {
        what,
        path: path.to_owned(),
        variable,
        reason,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| error(pem_reason(&e)))?;
    if chain.is_empty() {
        return Err(error("it holds no certificate in PEM format".to_owned()));
    }
    Ok(chain)
}

fn key(
    path: &Path,
    what: &'static str,
    variable: &'static str,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| TlsError::File {
        what,
        path: path.to_owned(),
        variable,
        reason: pem_reason(&e),
    })
}

fn pem_reason(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "it holds nothing of the kind in PEM format".to_owned(),
        other => other.to_string(),
    }
}

/// Names are what clients verify: better told at start than at each client.
fn warn_about_names(path: &Path, chain: &[CertificateDer<'_>]) {
    let Some(leaf) = chain.first() else { return };
    if let Some(problem) = lacks(leaf) {
        tracing::warn!(certificate = %path.display(), "clients will refuse this certificate: {problem}");
    }
}

/// What a certificate lacks to be accepted by a client that verifies names.
fn lacks(certificate: &[u8]) -> Option<&'static str> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    if certificate.version() != x509_parser::x509::X509Version::V3 {
        return Some(
            "it is of X.509 version 1, which has no extensions; make one of version 3, with a subject alternative name",
        );
    }
    match certificate.subject_alternative_name() {
        Ok(Some(names)) if !names.value.general_names.is_empty() => None,
        _ => Some(
            "it has no subject alternative name; add one (with openssl: -addext subjectAltName=DNS:localhost,IP:127.0.0.1)",
        ),
    }
}

/// Whether TLS is the cause of a stream's error, and not the connection below it.
pub(crate) fn is_cause(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// The same error of a TLS stream with a text that explains it: `h2` keeps nothing else.
pub(crate) fn explained(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), explain(error))
}

/// An error of a TLS stream in words.
pub(crate) fn explain(error: &io::Error) -> String {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(error) => describe(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the peer closed the connection".to_owned()
        }
        None => error.to_string(),
    }
}

fn describe(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, Error};
    match error {
        Error::InvalidCertificate(problem) => describe_certificate(problem),
        Error::AlertReceived(Alert::CertificateRequired | Alert::HandshakeFailure) => {
            format!("{error}: the peer asks for a certificate of ours that its CA has signed")
        }
        Error::AlertReceived(Alert::UnknownCA) => {
            format!("{error}: the peer does not know the CA that signed our certificate")
        }
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::DecryptError,
        ) => format!("{error}: the peer refuses our certificate"),
        Error::InvalidMessage(_) => format!("{error}: the peer does not seem to speak TLS"),
        other => other.to_string(),
    }
}

fn describe_certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            if presented.is_empty() {
                format!(
                    "the certificate has no subject alternative name, so it cannot be valid for '{expected}'; make one with subjectAltName=DNS:{expected} (IP:… for an address)"
                )
            } else {
                format!(
                    "the certificate is not valid for '{expected}': its subject alternative names are {}",
                    presented.join(", ")
                )
            }
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the certificate was not signed by our CA (CA_CRT)".to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "the certificate is of X.509 version 1; make one of version 3, with a subject alternative name"
                .to_owned()
        }
        other => format!("the certificate is not acceptable: {other}"),
    }
}
