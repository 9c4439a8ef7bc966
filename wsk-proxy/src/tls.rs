//! HTTPS: the certificate that clients get to see, and the authorities whose clients may come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why HTTPS cannot be offered.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot use {}: {reason}", .path.display())]
pub struct HttpsError {
    key: &'static str,
    path: PathBuf,
    reason: String,
}

/// TLS 1.2 or 1.3 with this certificate; with `client_ca`, clients must show one that it has signed.
///
/// # Errors
/// If a file cannot be read or used.
pub(crate) fn server_config(
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Result<Arc<ServerConfig>, HttpsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates("tls.certificate", certificate)?;
    let unusable = |error: rustls::Error| failed("tls.certificate", certificate, &error);
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| failed("tls.key", key, &e))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("tls.client-ca", path)? {
                roots
                    .add(authority)
                    .map_err(|e| failed("tls.client-ca", path, &e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|e| failed("tls.client-ca", path, &e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, private).map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, HttpsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = chain.map_err(|error| failed(key, path, &error))?;
    if chain.is_empty() {
        return Err(failed(key, path, &"it holds no certificate in PEM format"));
    }
    Ok(chain)
}

fn failed(key: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> HttpsError {
    HttpsError {
        key,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
