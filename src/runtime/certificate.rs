//! What a peer's certificates say, whether or not they are trusted.
//!
//! The pattern: a [`Witness`] stands before the verification, notes the chain as it
//! was presented, and hands it on. So the end of a certificate is known also when it
//! has come, which is when somebody wants to read it, and one handshake is enough.
//! Wrong would be a second handshake that verifies nothing: it asks another server
//! behind the same address.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use x509_cert::der::Decode;

/// A chain as a peer presented it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Seconds since 1970 at which the first of its certificates ends; `None` when
    /// none could be read.
    pub earliest_expiry: Option<u64>,
    /// Whether it is trusted for the name that was wanted.
    pub verified: bool,
}

/// The chain of the last handshake; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Option<Chain>>>);

impl Seen {
    pub fn last(&self) -> Option<Chain> {
        *self.lock()
    }

    /// The next chain will be that of a new handshake.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Chain>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Witness {
    /// `None` where nobody is trusted.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    seen: Seen,
}

impl Witness {
    pub fn new(
        verifier: Option<Arc<WebPkiServerVerifier>>,
        provider: Arc<CryptoProvider>,
        seen: Seen,
    ) -> Self {
        Self { verifier, provider, seen }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = match &self.verifier {
            Some(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let chain = std::iter::once(end_entity).chain(intermediates);
        let earliest_expiry = chain.filter_map(|certificate| expiry(certificate)).min();
        *self.seen.lock() = Some(Chain { earliest_expiry, verified: verified.is_ok() });
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Seconds since 1970 at which a certificate (DER) ends.
fn expiry(der: &[u8]) -> Option<u64> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for bytes in [&b""[..], b"\x30\x03\x02\x01\x01", b"-----BEGIN CERTIFICATE-----", &[0xff; 64]] {
            assert_eq!(expiry(bytes), None);
        }
    }
}
