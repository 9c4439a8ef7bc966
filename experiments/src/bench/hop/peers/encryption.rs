//! What encrypts the two sides of the programs of others: TLS 1.3, AES with keys of 128 bits, and
//! certificates that either side shows and verifies, as between our router and our computer. OpenSSL would
//! prefer 256 bits, which takes longer; BoringSSL, which Envoy has, prefers 128 as we do.

use std::path::Path;

use anyhow::Context as _;

/// What a configuration file says of encryption, towards clients and towards the computer.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) front: &'static str,
    pub(super) back: &'static str,
}

impl Sides {
    /// None.
    pub(super) const PLAIN: Self = Self {
        front: "",
        back: "",
    };
    /// None, in the words of nginx.
    pub(super) const PLAIN_NGINX: Self = Self {
        front: "",
        back: "grpc://computers",
    };

    pub(super) const ENVOY: Self = Self {
        front: r#"transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            alpn_protocols: [h2]
            tls_params: { tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3 }
            tls_certificates:
            - certificate_chain: { filename: "{{folder}}/server.crt" }
              private_key: { filename: "{{folder}}/server.key" }
            validation_context: { trusted_ca: { filename: "{{folder}}/ca.crt" } }"#,
        back: r#"transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          alpn_protocols: [h2]
          tls_params: { tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3 }
          tls_certificates:
          - certificate_chain: { filename: "{{folder}}/client.crt" }
            private_key: { filename: "{{folder}}/client.key" }
          validation_context: { trusted_ca: { filename: "{{folder}}/ca.crt" } }"#,
    };

    /// With the files that [`bundle`] writes.
    pub(super) const HAPROXY: Self = Self {
        front: "alpn h2 ssl ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256 crt {{folder}}/server.pem ca-file {{folder}}/ca.crt verify required",
        back: "alpn h2 ssl ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256 crt {{folder}}/client.pem ca-file {{folder}}/ca.crt verify required",
    };

    pub(super) const NGINX: Self = Self {
        front: "ssl;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_certificate {{folder}}/server.crt;
        ssl_certificate_key {{folder}}/server.key;
        ssl_client_certificate {{folder}}/ca.crt;
        ssl_verify_client on",
        back: "grpcs://computers;
            grpc_ssl_protocols TLSv1.3;
            grpc_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
            grpc_ssl_name localhost;
            grpc_ssl_certificate {{folder}}/client.crt;
            grpc_ssl_certificate_key {{folder}}/client.key;
            grpc_ssl_trusted_certificate {{folder}}/ca.crt;
            grpc_ssl_verify on",
    };
}

/// HAProxy wants certificate and key of a role in one file.
pub(super) fn bundle(folder: &Path) -> anyhow::Result<()> {
    for role in ["server", "client"] {
        let mut both = String::new();
        for part in ["crt", "key"] {
            let file = folder.join(format!("{role}.{part}"));
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            both.push_str(&text);
        }
        let file = folder.join(format!("{role}.pem"));
        std::fs::write(&file, both).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
