//! Whom the client trusts, and the TLS versions and protocols that it offers.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Why the client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The TLS library offers no protocol version.
    #[error("TLS cannot be set up")]
    Versions(#[source] rustls::Error),
    /// A certificate of `extra_roots`.
    #[error("certificate {position} of the additional certificate authorities cannot be used")]
    Root {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
}

/// Settings of TLS, or none if there is nobody to trust.
pub(super) type Tls = Option<Arc<ClientConfig>>;

/// Reads the certificate authorities of the operating system (or of `SSL_CERT_FILE` and `SSL_CERT_DIR`), and
/// adds `extra` ones. Those of the system that cannot be read are logged and left out.
pub(super) fn load(extra: &[Vec<u8>]) -> Result<Tls, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "certificate authorities of the system could not be read");
    }
    let (_, unusable) = roots.add_parsable_certificates(system.certs);
    if unusable > 0 {
        tracing::debug!(
            unusable,
            "certificate authorities of the system that cannot be used"
        );
    }
    for (position, der) in (1..).zip(extra) {
        let certificate = CertificateDer::from(der.as_slice());
        roots
            .add(certificate)
            .map_err(|source| TlsSetupError::Root { position, source })?;
    }
    if roots.is_empty() {
        return Ok(None);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsSetupError::Versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}
