//! TLS of the interfaces: with certificates of clients, or without.

use std::path::{Path, PathBuf};
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

/// What one side shows the other, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain of certificates.
    pub certificate: PathBuf,
    /// The key of the first of them.
    pub key: PathBuf,
}

type Material = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn failed(path: &Path) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> TlsSetup {
    let what = path.display().to_string();
    move |source| TlsSetup::File {
        what: what.clone(),
        source,
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Material, TlsSetup> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| failed(certificate)(error.into()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key)(error.into()))?;
    Ok((chain, key))
}

/// What the server shows and asks for; `None` if nothing is encrypted.
pub(crate) fn server(mode: ApiTls) -> Result<Option<Arc<rustls::ServerConfig>>, TlsSetup> {
    let config = match mode {
        ApiTls::Off => return Ok(None),
        ApiTls::Mutual => (*TlsFiles::from_environment()?.server_config()?).clone(),
        ApiTls::Server => {
            let files = TlsFiles::from_environment()?;
            let (chain, key) = read(&files.server_certificate, &files.server_key)?;
            rustls::ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
                .map_err(|error| failed(&files.server_certificate)(error.into()))?
        }
    };
    let mut config = config;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// Trust in servers and in receivers of notifications: the authorities in `authorities`, or those
/// of the system; and what is shown to those of them who ask.
pub(crate) fn client(
    authorities: Option<&Path>,
    identity: Option<&Identity>,
) -> Result<Arc<rustls::ClientConfig>, TlsSetup> {
    let mut roots = rustls::RootCertStore::empty();
    match authorities {
        Some(path) => {
            let failed = failed(path);
            let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(|error| failed(error.into()))?;
            for certificate in certificates {
                roots
                    .add(certificate)
                    .map_err(|error| failed(error.into()))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
    }
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetup::File {
            what: "TLS".to_owned(),
            source: error.into(),
        })?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let (chain, key) = read(certificate, key)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| failed(certificate)(error.into()))?
        }
    };
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
