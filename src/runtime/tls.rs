//! How outgoing connections trust: one provider (ring), the system's roots plus
//! the file a target names.
//!
//! The system's roots are read once per process and shared, because every copy of
//! them costs some hundred kilobytes. **Invariant:** verification is left out only
//! by [`unverified`], which only the Postgres modes `prefer` and `require` use, as
//! their definition says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::certificate::{Seen, Witness};

/// A file of certificates larger than this is refused, bytes.
const MAX_CA_FILE: u64 = 4 << 20;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the certificates in {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no certificate that can be used: {reason}", path.display())]
    Certificates { path: PathBuf, reason: String },
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// Verifies the peer against the system's roots and those in `ca_file` (PEM).
/// Blocking: reads files.
///
/// # Errors
/// [`TlsError`] naming the file.
pub fn verified(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let Some(path) = ca_file else {
        if let Some(config) = SYSTEM.get() {
            return Ok(config.clone());
        }
        let config = with_roots(system_roots().clone())?;
        return Ok(SYSTEM.get_or_init(|| config).clone());
    };
    with_roots(roots(Some(path))?)
}

/// Verifies like [`verified`], offers the protocols `alpn`, and shows what every peer
/// presents. No session is resumed: a resumed one presents nothing. Blocking: reads
/// files.
///
/// # Errors
/// [`TlsError`] naming the file.
pub fn witnessed(ca_file: Option<&Path>, alpn: &[&str]) -> Result<(Arc<ClientConfig>, Seen), TlsError> {
    let (roots, provider, seen) = (roots(ca_file)?, Arc::new(ring::default_provider()), Seen::default());
    let verifier = if roots.is_empty() {
        None
    } else {
        let built = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        Some(built.map_err(|error| rustls::Error::General(error.to_string()))?)
    };
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Witness::new(verifier, provider, seen.clone())))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok((Arc::new(config), seen))
}

/// The system's authorities and those in `ca_file`.
fn roots(ca_file: Option<&Path>) -> Result<Arc<RootCertStore>, TlsError> {
    let Some(path) = ca_file else { return Ok(system_roots().clone()) };
    let mut roots = RootCertStore::clone(system_roots());
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Certificates { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(Arc::new(roots))
}

/// Encrypts without asking who the peer is.
///
/// # Errors
/// [`TlsError::Setup`].
pub fn unverified() -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Verifies, and finds nobody trustworthy: for clients that never encrypt.
///
/// # Errors
/// [`TlsError::Setup`].
pub fn trusting_nobody() -> Result<Arc<ClientConfig>, TlsError> {
    with_roots(Arc::new(RootCertStore::empty()))
}

fn with_roots(roots: Arc<RootCertStore>) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What the system trusts. A host without a bundle trusts nobody, which shows as
/// a TLS failure that names the issuer.
fn system_roots() -> &'static Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system certificate was passed over");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unread = |source| TlsError::Read { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(unread)?;
    let unusable = |reason: String| TlsError::Certificates { path: path.to_owned(), reason };
    // Asked before opening: opening a pipe waits for whoever writes it.
    if !found.is_file() {
        return Err(unusable(String::from("it is not a regular file")));
    }
    if found.len() > MAX_CA_FILE {
        return Err(unusable(format!("it is larger than {MAX_CA_FILE} bytes")));
    }
    let text = std::fs::read(path).map_err(unread)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() { Err(unusable(String::from("no PEM section CERTIFICATE"))) } else { Ok(found) }
}

/// Accepts every certificate, and still checks that the peer holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_holds_no_certificate_is_named() {
        let missing = verified(Some(Path::new("/nonexistent/ca.pem"))).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/ca.pem"), "{missing}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "not a certificate").unwrap();
        assert!(matches!(verified(Some(file.path())), Err(TlsError::Certificates { .. })));
    }
}
