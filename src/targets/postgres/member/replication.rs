//! One question over the replication protocol, on a connection of its own.
//!
//! A timeline's history is read by `TIMELINE_HISTORY`, which any role with REPLICATION
//! may ask; reading the file by SQL would need the right to read every file of the
//! server. tokio-postgres opens no replication connections, so the few messages of a
//! login and of a simple question are spoken here. Wrong would be to believe the
//! lengths a server announces: what it may say is bounded by the wire's allowance.

use std::io;

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::fallible_iterator::FallibleIterator as _;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::history;
use crate::base::secret::Secret;
use crate::model::failover::lsn::Fork;
use crate::runtime::network_failure::{self, NetworkFailure};
use crate::targets::outcome::Outcome;
use crate::targets::postgres::access::Access;
use crate::targets::postgres::outcome::of_state;
use crate::targets::postgres::session::{Place, reach};
use crate::targets::postgres::wire::{Allowance, Wire};

/// Messages of one login or answer; a server sends about 20.
const MAX_MESSAGES: usize = 256;

/// The forks by which `timeline` came about; none for the first, which has no history.
///
/// # Errors
/// An outcome with SQLSTATE 42501 when the role lacks REPLICATION, 28000 when
/// pg_hba.conf lets no replication connection in, and what can become of connecting.
pub async fn ancestry(access: &mut Access, timeline: u32, deadline: Instant) -> Result<Vec<Fork>, Outcome> {
    if timeline <= 1 {
        return Ok(Vec::new());
    }
    let rows = ask(access, &format!("TIMELINE_HISTORY {timeline}"), deadline).await?;
    let content = rows.into_iter().next().and_then(|mut row| if row.len() == 2 { row.pop() } else { None });
    let content = content.ok_or_else(|| protocol("TIMELINE_HISTORY answered without a file"))?;
    let text = String::from_utf8_lossy(&content);
    history::forks(&text, timeline).map_err(|error| Outcome::configuration("history", error.to_string()))
}

/// Whether a replication connection is let in at all.
///
/// # Errors
/// As [`ancestry`].
pub async fn try_login(access: &mut Access, deadline: Instant) -> Result<(), Outcome> {
    ask(access, "IDENTIFY_SYSTEM", deadline).await.map(drop)
}

type Row = Vec<Vec<u8>>;

async fn ask(access: &mut Access, command: &str, deadline: Instant) -> Result<Vec<Row>, Outcome> {
    let (password, tls) = access.credentials(deadline).await?;
    let asking = ask_unbounded(&access.place, password.as_ref(), tls, command, deadline);
    let late = || Err(Outcome::timeout("no answer to a replication command within the deadline"));
    let asked = timeout_at(deadline, asking).await.unwrap_or_else(|_| late());
    access.learn(asked.as_ref().err());
    asked
}

async fn ask_unbounded(
    place: &Place,
    password: Option<&Secret>,
    tls: Option<MakeRustlsConnect>,
    command: &str,
    deadline: Instant,
) -> Result<Vec<Row>, Outcome> {
    let (mut wire, _) = reach(place, &Allowance::new(), deadline).await?;
    let Some(mut tls) = tls else { return converse(wire, place, password, command).await };
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    wire.write_all(&request).await.map_err(|error| broken(&error))?;
    match wire.read_u8().await.map_err(|error| broken(&error))? {
        b'S' => {
            let connector = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls, &place.host)
                .map_err(|error| Outcome::configuration("host", error.to_string()))?;
            let stream = connector.connect(wire).await;
            let stream = stream
                .map_err(|error| Outcome::network(NetworkFailure::Tls, network_failure::describe(&error)))?;
            converse(stream, place, password, command).await
        }
        b'N' if place.ssl_mode != SslMode::Require => converse(wire, place, password, command).await,
        b'N' => Err(Outcome::network(NetworkFailure::Tls, "the server does not offer TLS")),
        _ => Err(protocol("no answer of Postgres to the request for TLS")),
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    place: &Place,
    password: Option<&Secret>,
    command: &str,
) -> Result<Vec<Row>, Outcome> {
    let mut line = Line { stream, received: BytesMut::new(), output: BytesMut::new(), heard: 0 };
    let parameters = [
        ("user", place.user.as_str()),
        ("database", place.database.as_str()),
        ("replication", "true"),
        ("application_name", "holdfast"),
        ("client_encoding", "UTF8"),
    ];
    frontend::startup_message(parameters, &mut line.output).map_err(|error| broken(&error))?;
    line.log_in(place, password).await?;
    frontend::query(command, &mut line.output).map_err(|error| broken(&error))?;
    let mut rows = Vec::new();
    loop {
        match line.hear().await? {
            Message::DataRow(body) => {
                let ranges: Vec<_> = body.ranges().collect().map_err(|error| broken(&error))?;
                let cell = |range: Option<std::ops::Range<usize>>| {
                    range.and_then(|range| body.buffer().get(range)).unwrap_or_default().to_vec()
                };
                rows.push(ranges.into_iter().map(cell).collect());
            }
            Message::ReadyForQuery(_) => break,
            _ => {}
        }
    }
    frontend::terminate(&mut line.output);
    // The answer is here; whether the farewell arrives does not matter.
    let _ = line.flush().await;
    Ok(rows)
}

struct Line<S> {
    stream: S,
    received: BytesMut,
    output: BytesMut,
    heard: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    async fn flush(&mut self) -> Result<(), Outcome> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await.map_err(|error| broken(&error))?;
            self.stream.flush().await.map_err(|error| broken(&error))?;
            self.output.clear();
        }
        Ok(())
    }

    /// Sends what is to be sent and returns the next message that is no error.
    async fn hear(&mut self) -> Result<Message, Outcome> {
        self.flush().await?;
        self.heard += 1;
        if self.heard > MAX_MESSAGES {
            return Err(protocol("more messages than an answer has"));
        }
        loop {
            match Message::parse(&mut self.received).map_err(|error| broken(&error))? {
                Some(Message::ErrorResponse(body)) => return Err(refusal(&body)),
                Some(message) => return Ok(message),
                None => {
                    let read = self.stream.read_buf(&mut self.received).await;
                    if read.map_err(|error| broken(&error))? == 0 {
                        return Err(broken(&io::ErrorKind::UnexpectedEof.into()));
                    }
                }
            }
        }
    }

    async fn log_in(&mut self, place: &Place, password: Option<&Secret>) -> Result<(), Outcome> {
        let secret =
            || password.ok_or_else(|| authentication("the server wants a password and none is configured"));
        loop {
            match self.hear().await? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::AuthenticationCleartextPassword => {
                    let sent = frontend::password_message(secret()?.expose().as_bytes(), &mut self.output);
                    sent.map_err(|error| broken(&error))?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let (user, password) = (place.user.as_bytes(), secret()?.expose().as_bytes());
                    let hash = md5_hash(user, password, body.salt());
                    let sent = frontend::password_message(hash.as_bytes(), &mut self.output);
                    sent.map_err(|error| broken(&error))?;
                }
                Message::AuthenticationSasl(body) => {
                    let mut mechanisms = body.mechanisms();
                    let mut found = false;
                    while let Ok(Some(mechanism)) = mechanisms.next() {
                        found |= mechanism == SCRAM_SHA_256;
                    }
                    if !found {
                        return Err(authentication("the server offers no SCRAM-SHA-256"));
                    }
                    self.scram(secret()?).await?;
                }
                Message::AuthenticationGss
                | Message::AuthenticationKerberosV5
                | Message::AuthenticationSspi => {
                    return Err(authentication("the server wants Kerberos, expected a password"));
                }
                _ => {}
            }
        }
    }

    /// Without binding to the TLS channel, like every client that cannot.
    async fn scram(&mut self, password: &Secret) -> Result<(), Outcome> {
        let mut scram = ScramSha256::new(password.expose().as_bytes(), ChannelBinding::unsupported());
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut self.output)
            .map_err(|error| broken(&error))?;
        let Message::AuthenticationSaslContinue(body) = self.hear().await? else {
            return Err(protocol("no second step of SCRAM"));
        };
        scram.update(body.data()).map_err(|error| authentication(&error.to_string()))?;
        frontend::sasl_response(scram.message(), &mut self.output).map_err(|error| broken(&error))?;
        let Message::AuthenticationSaslFinal(body) = self.hear().await? else {
            return Err(protocol("no last step of SCRAM"));
        };
        scram.finish(body.data()).map_err(|error| authentication(&error.to_string()))
    }
}

fn refusal(body: &ErrorResponseBody) -> Outcome {
    let (mut state, mut message) = (String::new(), String::new());
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => state = value(),
            b'M' => message = value(),
            _ => {}
        }
    }
    Outcome::new(of_state(&state), state, message)
}

fn broken(error: &io::Error) -> Outcome {
    let failure = network_failure::of(error).unwrap_or(NetworkFailure::Io);
    Outcome::network(failure, network_failure::describe(error))
}

fn protocol(detail: &str) -> Outcome {
    Outcome::network(NetworkFailure::Protocol, detail)
}

fn authentication(detail: &str) -> Outcome {
    Outcome::configuration("authentication", detail)
}
