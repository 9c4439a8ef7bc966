//! Certificates of a site that trusts itself; the tests of other crates share this file.
#![allow(unreachable_pub, reason = "others include it at other depths")]

use std::path::Path;

use edge_transport::tls::TlsFiles;

/// Writes a CA and certificates of both roles into `folder`, that of the server for `names`.
pub fn certificates(folder: &Path, names: &[&str]) -> TlsFiles {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    std::fs::write(folder.join("ca.crt"), ca_certificate.pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    for (role, names) in [("server", names), ("client", &["client"][..])] {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        std::fs::write(folder.join(format!("{role}.crt")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{role}.key")), key.serialize_pem()).unwrap();
    }
    TlsFiles::from_variables(|name| (name == "CERT_DIR").then(|| folder.to_owned())).unwrap()
}
