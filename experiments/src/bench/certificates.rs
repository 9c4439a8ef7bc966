//! Certificates of an authority that lives as long as a benchmark.

use std::path::Path;

use edge_transport::tls::{TlsError, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Writes an authority's certificate, and those of both roles with their keys, into `folder`, for
/// the loopback interface.
pub(crate) fn write(folder: &Path) -> anyhow::Result<()> {
    // nginx compares names only.
    write_for(folder, ["127.0.0.1".to_owned(), "localhost".to_owned()])
}

/// As [`write()`], for all these names and addresses.
pub(crate) fn write_for(
    folder: &Path,
    names: impl IntoIterator<Item = String>,
) -> anyhow::Result<()> {
    let names: Vec<String> = names.into_iter().collect();
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate whose issuer has the name of its subject for one that signed itself.
    named(&mut authority, "lab authority");
    let certificate = authority.self_signed(&authority_key)?;
    std::fs::write(folder.join("ca.crt"), certificate.pem())?;
    let issuer = Issuer::new(authority, authority_key);
    for role in ["server", "client"] {
        let key = KeyPair::generate()?;
        let mut certificate = CertificateParams::new(names.clone())?;
        named(&mut certificate, role);
        let certificate = certificate.signed_by(&key, &issuer)?;
        std::fs::write(folder.join(format!("{role}.crt")), certificate.pem())?;
        std::fs::write(folder.join(format!("{role}.key")), key.serialize_pem())?;
    }
    Ok(())
}

fn named(certificate: &mut CertificateParams, name: &str) {
    let subject = &mut certificate.distinguished_name;
    subject.push(DnType::CommonName, name);
}

/// What [`write()`] has left in `folder`.
pub(crate) fn files(folder: &Path) -> Result<TlsFiles, TlsError> {
    TlsFiles::from_variables(|name| (name == "CERT_DIR").then(|| folder.to_owned()))
}
