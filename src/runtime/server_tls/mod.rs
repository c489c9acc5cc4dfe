//! How the agent's own listeners encrypt: rustls with ring, one certificate.
//!
//! The pattern: the listeners hold one configuration for ever, whose certificate is looked
//! up with every handshake; a new one is put in its place whole, chain and key together, or
//! not at all. So a renewal cuts no connection, and a half-written file is met by the old
//! certificate. Wrong would be to let the two files be renewed one after the other.

mod self_signed;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::supervisor::{Supervisor, TaskResult};
use crate::base::time::Timestamp;
use crate::config::Config;
use crate::config::tls::Tls;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);
/// A file that is larger is not read, bytes.
const MOST_BYTES: u64 = 1 << 20;
/// Below the data directory.
const FOLDER: &str = "tls";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    #[error("cannot read {path} (`tls`): {reason}")]
    Read { path: PathBuf, reason: io::Error },
    #[error("{path} (`tls`) cannot be used: {reason}")]
    Unusable { path: PathBuf, reason: String },
    #[error("cannot write {path} (`tls.self_signed`): {reason}")]
    Write { path: PathBuf, reason: io::Error },
    #[error("{0} (`tls.self_signed`)")]
    Make(String),
}

/// Where chain and key are.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What tells that a file is another one.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl Files {
    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        })
    }

    /// Chain and key, which must belong together.
    fn read(&self) -> Result<CertifiedKey, ServerTlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text(&self.certificate)?).collect();
        let unusable =
            |path: &Path, reason: String| ServerTlsError::Unusable { path: path.to_owned(), reason };
        let chain = chain.map_err(|error| unusable(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(unusable(&self.certificate, String::from("no PEM section CERTIFICATE")));
        }
        let key = PrivateKeyDer::from_pem_slice(&text(&self.key)?);
        let key = key.map_err(|error| unusable(&self.key, error.to_string()))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|error| unusable(&self.key, format!("with {}: {error}", self.certificate.display())))
    }
}

fn text(path: &Path) -> Result<Vec<u8>, ServerTlsError> {
    let failed = |reason| ServerTlsError::Read { path: path.to_owned(), reason };
    let found = std::fs::metadata(path).map_err(failed)?;
    // Asked before opening: opening a pipe waits for whoever writes it.
    if !found.is_file() || found.len() > MOST_BYTES {
        let reason = format!("expected a file of at most {MOST_BYTES} bytes");
        return Err(ServerTlsError::Unusable { path: path.to_owned(), reason });
    }
    std::fs::read(path).map_err(failed)
}

/// The certificate in use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// See the module; cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    files: Files,
    current: Arc<Current>,
    seen: Arc<Mutex<Stamp>>,
    acceptor: TlsAcceptor,
}

impl ServerTls {
    /// What the configuration asks for; `None` where nothing is encrypted. Makes the
    /// certificate of our own if it is to be there and is not. Blocking.
    ///
    /// # Errors
    /// [`ServerTlsError`] naming the file.
    pub fn open(config: &Config, hostname: &str, now: Timestamp) -> Result<Option<Self>, ServerTlsError> {
        let Tls { cert_file, key_file, self_signed } = &config.tls;
        let files = match (cert_file, key_file) {
            (Some(certificate), Some(key)) => Files { certificate: certificate.clone(), key: key.clone() },
            _ if *self_signed => own(&config.data_dir, &names(config, hostname), now)?,
            _ => return Ok(None),
        };
        let stamp = files.stamp();
        let current = Arc::new(Current(RwLock::new(Arc::new(files.read()?))));
        let made = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ServerTlsError::Make(format!("cannot set up TLS: {error}")))?;
        let mut made = made.with_no_client_auth().with_cert_resolver(current.clone());
        made.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(made));
        Ok(Some(Self { files, current, seen: Arc::new(Mutex::new(stamp)), acceptor }))
    }

    pub fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// SHA-256 of the certificate as browsers show it: `AB:CD:...`.
    pub fn fingerprint(&self) -> String {
        let current = self.current.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        for byte in Sha256::digest(current.cert.first().map_or(&[][..], |leaf| leaf)) {
            let colon = if text.is_empty() { "" } else { ":" };
            let _ = write!(text, "{colon}{byte:02X}");
        }
        text
    }

    /// Reads the files again if they are others now; whether they were. Blocking.
    ///
    /// # Errors
    /// [`ServerTlsError`]; the certificate in use stays.
    pub fn look(&self) -> Result<bool, ServerTlsError> {
        let stamp = self.files.stamp();
        if *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == stamp {
            return Ok(false);
        }
        let fresh = Arc::new(self.files.read()?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(true)
    }

    /// Looks every few seconds and at every reload of the configuration, until `stop`.
    ///
    /// # Errors
    /// None: what cannot be read is told once, and the certificate in use stays.
    pub async fn follow(
        self,
        mut config: watch::Receiver<Arc<Config>>,
        stop: CancellationToken,
    ) -> TaskResult {
        let mut told = String::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = config.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(LOOK) => {}
            }
            let this = self.clone();
            let said = match Supervisor::blocking(move || this.look()).await {
                Some(Ok(true)) => {
                    tracing::info!(fingerprint = %self.fingerprint(), "another certificate is in use");
                    String::new()
                }
                Some(Err(error)) => error.to_string(),
                Some(Ok(false)) | None => String::new(),
            };
            if !said.is_empty() && said != told {
                tracing::error!(error = said, "the certificate stays as it was");
            }
            told = said;
        }
    }
}

/// What clients may call this host: its names and the addresses it listens on.
fn names(config: &Config, hostname: &str) -> Vec<String> {
    let mut names = vec![String::from("localhost"), String::from("127.0.0.1"), String::from("::1")];
    let plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    if plain(hostname) {
        names.extend([hostname.to_owned(), format!("{hostname}.local")]);
    }
    let listens = config.listen.iter().chain(&config.metrics.listen);
    let addresses = listens.filter_map(|listen| listen.parse::<std::net::SocketAddr>().ok());
    names.extend(
        addresses.filter(|address| !address.ip().is_unspecified()).map(|address| address.ip().to_string()),
    );
    names.extend(config.auth.allowed_hosts.iter().filter(|name| plain(name)).cloned());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The certificate of our own, made unless it is there.
fn own(data_dir: &Path, names: &[String], now: Timestamp) -> Result<Files, ServerTlsError> {
    let folder = data_dir.join(FOLDER);
    let files = Files { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    if files.certificate.exists() {
        return Ok(files);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |reason| ServerTlsError::Write { path, reason }
    };
    let mut maker = std::fs::DirBuilder::new();
    maker.recursive(true).mode(0o700).create(&folder).map_err(failed(&folder))?;
    let made = self_signed::make(names, now).map_err(ServerTlsError::Make)?;
    // The certificate last: it is what says that both are there.
    put(&files.key, made.key.expose(), 0o600).map_err(failed(&files.key))?;
    put(&files.certificate, &made.certificate, 0o644).map_err(failed(&files.certificate))?;
    std::fs::File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed(&folder))?;
    Ok(files)
}

fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_166_565_000);

    fn config(directory: &Path) -> Config {
        let tls = Tls { self_signed: true, ..Tls::default() };
        Config { data_dir: directory.to_owned(), tls, ..Config::default() }
    }

    #[test]
    fn the_own_certificate_is_made_once_names_the_host_and_keeps_its_key_private() {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path());
        assert!(ServerTls::open(&Config::default(), "box", NOW).unwrap().is_none());
        let first = ServerTls::open(&config, "box", NOW).unwrap().unwrap();
        let again = ServerTls::open(&config, "box", NOW).unwrap().unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
        let key = directory.path().join("tls/key.pem");
        assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        let leaf = first.current.0.read().unwrap().cert[0].clone();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(leaf.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().unwrap();
        let at = |days: u64| {
            let seconds = NOW.millis() as u64 / 1000 + days * 86_400;
            rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds))
        };
        let verify = |name: &'static str, days| {
            use rustls::client::danger::ServerCertVerifier as _;
            verifier.verify_server_cert(&leaf, &[], &name.try_into().unwrap(), &[], at(days)).is_ok()
        };
        for name in ["localhost", "127.0.0.1", "::1", "box", "box.local"] {
            assert!(verify(name, 0) && verify(name, 3649), "{name}");
        }
        assert!(!verify("evil.example", 0) && !verify("box", 3651));
    }

    #[test]
    fn a_renewal_is_taken_whole_and_a_broken_one_leaves_the_old() {
        let [one, other] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let serving = ServerTls::open(&config(one.path()), "box", NOW).unwrap().unwrap();
        let renewed = ServerTls::open(&config(other.path()), "box", NOW).unwrap().unwrap();
        let before = serving.fingerprint();
        assert!(!serving.look().unwrap());
        std::fs::copy(&renewed.files.certificate, &serving.files.certificate).unwrap();
        let error = serving.look().unwrap_err().to_string();
        assert!(error.contains("key.pem"), "{error}");
        assert_eq!(serving.fingerprint(), before);
        std::fs::copy(&renewed.files.key, &serving.files.key).unwrap();
        assert!(serving.look().unwrap() && !serving.look().unwrap());
        assert_eq!(serving.fingerprint(), renewed.fingerprint());
        std::fs::write(&serving.files.certificate, "nonsense").unwrap();
        assert!(serving.look().unwrap_err().to_string().contains("cert.pem"));
        assert_eq!(serving.fingerprint(), renewed.fingerprint());
    }
}
