//! Certificates of a site that trusts itself.

use std::path::Path;

use edge_transport::tls::TlsFiles;

/// Writes a CA and certificates of both roles into `folder`.
pub fn certificates(folder: &Path) -> TlsFiles {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    std::fs::write(folder.join("ca.crt"), ca_certificate.pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    for role in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        std::fs::write(folder.join(format!("{role}.crt")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{role}.key")), key.serialize_pem()).unwrap();
    }
    TlsFiles::from_variables(|name| (name == "CERT_DIR").then(|| folder.to_owned())).unwrap()
}
