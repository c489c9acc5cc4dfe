//! The way to a host: one fresh connection per probe, plain or encrypted.
//!
//! A connection that was made just now shows what a new client of the target would
//! meet. A name server that fails while the last known address serves is a matter of
//! configuration, as for every kind.

use std::path::PathBuf;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::course::Course;
use super::outcome::Outcome;
use super::record::Recorder;
use super::trust::Trust;
use crate::config::address::Address;
use crate::runtime::dial::Dialer;
use crate::runtime::network_failure::{self, NetworkFailure};

/// A connection.
pub type Line = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// See the module.
pub struct Door {
    dialer: Dialer,
    /// The name that the certificate must have.
    server_name: String,
    /// `None` where nothing is encrypted.
    trust: Option<Trust>,
}

impl Door {
    /// Encrypted where `tls`; offers the protocols `alpn`.
    pub fn new(
        address: &Address,
        tls: bool,
        ca_file: Option<PathBuf>,
        alpn: &'static [&'static str],
    ) -> Self {
        Self {
            dialer: Dialer::new(address.host.clone(), address.port),
            server_name: address.host.clone(),
            trust: tls.then(|| Trust::new(ca_file, alpn)),
        }
    }

    /// Another name than the host's must be in the certificate.
    pub fn named(self, server_name: Option<String>) -> Self {
        Self { server_name: server_name.unwrap_or(self.server_name), ..self }
    }

    /// The operation `connect` and, where it is encrypted, `tls`.
    pub async fn open(&mut self, course: &mut Course, recorder: &Recorder) -> Option<Line> {
        let stream = self.connect(course).await?;
        let Some(trust) = &mut self.trust else { return Some(Either::Left(stream)) };
        let watch = course.watch();
        let encrypted = encrypt(trust, &self.server_name, stream, course).await;
        course.certificate(recorder, trust.seen());
        if encrypted.is_err() {
            trust.forget();
        }
        let encrypted = course.step("tls", &watch, encrypted)?;
        Some(Either::Right(Box::new(encrypted)))
    }

    async fn connect(&self, course: &mut Course) -> Option<TcpStream> {
        let watch = course.watch();
        match self.dialer.dial(course.deadline).await {
            Ok(dialled) => {
                let outcome = dialled.dns_problem.map_or_else(Outcome::ok, |problem| {
                    let detail = format!("the last known address was used: {problem}");
                    Outcome::configuration("dns", detail)
                });
                course.note("connect", &watch, outcome);
                Some(dialled.stream)
            }
            Err(error) => {
                let outcome = Outcome::network(error.failure(), network_failure::describe(&error));
                course.note("connect", &watch, outcome);
                None
            }
        }
    }
}

async fn encrypt(
    trust: &mut Trust,
    server_name: &str,
    stream: TcpStream,
    course: &Course,
) -> Result<TlsStream<TcpStream>, Outcome> {
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| Outcome::configuration("server_name", format!("`{server_name}` is not a name")))?;
    let (config, seen) = trust.config(course.deadline).await?;
    seen.forget();
    let handshake = TlsConnector::from(config).connect(name, stream);
    match timeout_at(course.deadline, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(of_io(&error, NetworkFailure::Tls)),
        Err(_) => Err(Outcome::timeout("no TLS handshake within the deadline")),
    }
}

/// The outcome of a failed read or write; `otherwise` where it is none of the network.
pub fn of_io(error: &std::io::Error, otherwise: NetworkFailure) -> Outcome {
    let failure = network_failure::of(error).unwrap_or(otherwise);
    Outcome::network(failure, network_failure::describe(error))
}
