//! TLS of the interfaces: with certificates of clients, or without.

use std::sync::Arc;

use edge_transport::tls::{TlsError, TlsFiles};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;

use crate::config::ApiTls;

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetup {
    /// Of the files that the environment names.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// Of a file.
    #[error("cannot use {what}")]
    File {
        /// Which.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the server shows and asks for; `None` if nothing is encrypted.
pub(crate) fn server(mode: ApiTls) -> Result<Option<Arc<rustls::ServerConfig>>, TlsSetup> {
    let config = match mode {
        ApiTls::Off => return Ok(None),
        ApiTls::Mutual => (*TlsFiles::from_environment()?.server_config()?).clone(),
        ApiTls::Server => {
            let files = TlsFiles::from_environment()?;
            let failed = |path: &std::path::Path| {
                let what = path.display().to_string();
                move |source: Box<dyn std::error::Error + Send + Sync>| TlsSetup::File {
                    what,
                    source,
                }
            };
            let chain = CertificateDer::pem_file_iter(&files.server_certificate)
                .and_then(Iterator::collect)
                .map_err(Into::into)
                .map_err(failed(&files.server_certificate))?;
            let key = PrivateKeyDer::from_pem_file(&files.server_key)
                .map_err(Into::into)
                .map_err(failed(&files.server_key))?;
            rustls::ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
                .map_err(Into::into)
                .map_err(failed(&files.server_certificate))?
        }
    };
    let mut config = config;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// Trust for receivers of notifications: the authorities in `file`, or those of the system.
pub(crate) fn client(
    file: Option<&std::path::Path>,
) -> Result<Arc<rustls::ClientConfig>, TlsSetup> {
    let mut roots = rustls::RootCertStore::empty();
    match file {
        Some(path) => {
            let failed = |source| TlsSetup::File {
                what: path.display().to_string(),
                source,
            };
            let authorities: Vec<_> = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(|error| failed(error.into()))?;
            for authority in authorities {
                roots.add(authority).map_err(|error| failed(error.into()))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
    }
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetup::File {
            what: "TLS".to_owned(),
            source: error.into(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Who a certificate says that its holder is: its first name of a host or URI, else the
/// common name.
pub(crate) fn subject(certificate: &[u8]) -> Option<Arc<str>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    if let Ok(Some(names)) = certificate.subject_alternative_name() {
        let name = names
            .value
            .general_names
            .iter()
            .find_map(|name| match name {
                GeneralName::URI(name)
                | GeneralName::DNSName(name)
                | GeneralName::RFC822Name(name) => Some(*name),
                _ => None,
            });
        if let Some(name) = name {
            return Some(name.into());
        }
    }
    let name = certificate
        .subject()
        .iter_common_name()
        .next()?
        .as_str()
        .ok()?;
    Some(name.into())
}
