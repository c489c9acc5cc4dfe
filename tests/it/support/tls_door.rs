//! TLS in front of a server that has none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificate::{expired, expiry, self_signed};

/// Listens until it is dropped.
pub struct TlsDoor {
    pub port: u16,
    /// The certificate for `localhost`, PEM.
    pub certificate: PathBuf,
    _directory: TempDir,
    _tasks: JoinSet<()>,
}

impl TlsDoor {
    /// Decrypts for the server at `port`.
    pub async fn to(port: u16) -> Self {
        Self::with(port, self_signed).await
    }

    /// The same with a certificate that has ended.
    pub async fn expired(port: u16) -> Self {
        Self::with(port, expired).await
    }

    /// When the certificate ends, seconds since 1970.
    pub fn expiry(&self) -> f64 {
        expiry(&self.certificate)
    }

    async fn with(port: u16, certify: fn(&str, &Path, &Path)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let (key, certificate) = (directory.path().join("key.pem"), directory.path().join("certificate.pem"));
        certify("localhost", &key, &certificate);
        let chain = vec![CertificateDer::from_pem_file(&certificate).expect("certificate")];
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).expect("key"))
            .expect("a server configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let own = listener.local_addr().expect("address").port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Ok(mut inside) = acceptor.accept(stream).await else { return };
                    let Ok(mut outside) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                });
            }
        });
        Self { port: own, certificate, _directory: directory, _tasks: tasks }
    }
}
