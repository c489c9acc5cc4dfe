//! How a server came to its timeline, asked in the replication protocol.
//!
//! `TIMELINE_HISTORY n` (PostgreSQL documentation, "Streaming Replication Protocol")
//! sends the history file, and needs no more than the REPLICATION attribute; reading it
//! as a file would need a grant that opens every file. The client library knows no
//! replication connections, so the few messages are spoken here.

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use crate::base::secret::Secret;
use crate::model::failover::lsn::Fork;
use crate::targets::postgres::access::{Access, Login};
use crate::targets::postgres::session::{self, Place};
use crate::targets::postgres::wire::{Allowance, Wire};

/// A history has a line per promotion; more is no history.
const MOST_BYTES: usize = 1 << 20;
const READ: usize = 8 << 10;

/// The forks before `timeline`, oldest first. Ends by `deadline`.
///
/// # Errors
/// In words, without secrets.
pub async fn read(access: &mut Access, timeline: u32, deadline: Instant) -> Result<Vec<Fork>, String> {
    if timeline <= 1 {
        return Ok(Vec::new());
    }
    let login = access.login(deadline).await.map_err(|outcome| outcome.detail)?;
    let place = access.place().clone();
    let reading = async {
        let (wire, _) =
            session::reach(&place, &Allowance::new(), deadline).await.map_err(|outcome| outcome.detail)?;
        let text = ask(wire, &place, login, timeline).await?;
        parse(&text).ok_or_else(|| format!("the history of timeline {timeline} is not one"))
    };
    timeout_at(deadline, reading).await.unwrap_or_else(|_| Err(String::from("no answer in time")))
}

async fn ask(mut wire: Wire, place: &Place, login: Login, timeline: u32) -> Result<String, String> {
    let Login { password, tls } = login;
    let Some(mut tls) = tls else { return converse(wire, place, password, timeline).await };
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    wire.write_all(&request).await.map_err(plain)?;
    let mut answer = [0];
    wire.read_exact(&mut answer).await.map_err(plain)?;
    match answer[0] {
        b'S' => {
            let connector = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls, &place.host)
                .map_err(|error| error.to_string())?;
            let stream = connector.connect(wire).await.map_err(|error| error.to_string())?;
            converse(stream, place, password, timeline).await
        }
        _ if place.ssl_mode == SslMode::Prefer => converse(wire, place, password, timeline).await,
        _ => Err(String::from("the server offers no TLS")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to a map_err")]
fn plain(error: std::io::Error) -> String {
    error.to_string()
}

async fn converse<S>(
    mut stream: S,
    place: &Place,
    password: Option<Secret>,
    timeline: u32,
) -> Result<String, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut out = BytesMut::new();
    let parameters = [
        ("user", place.user.as_str()),
        ("database", place.database.as_str()),
        ("replication", "true"),
        ("application_name", "holdfast"),
    ];
    frontend::startup_message(parameters, &mut out).map_err(plain)?;
    let mut read = Reader { stream: &mut stream, buffer: BytesMut::new(), total: 0 };
    read.stream.write_all(&out).await.map_err(plain)?;
    let mut scram: Option<ScramSha256> = None;
    let mut asked = false;
    let mut content = None;
    loop {
        out.clear();
        match read.message().await? {
            Message::AuthenticationCleartextPassword => {
                let password = password.as_ref().map(Secret::expose).unwrap_or_default();
                frontend::password_message(password.as_bytes(), &mut out).map_err(plain)?;
            }
            Message::AuthenticationMd5Password(body) => {
                let password = password.as_ref().map(Secret::expose).unwrap_or_default();
                let hash = postgres_protocol::authentication::md5_hash(
                    place.user.as_bytes(),
                    password.as_bytes(),
                    body.salt(),
                );
                frontend::password_message(hash.as_bytes(), &mut out).map_err(plain)?;
            }
            Message::AuthenticationSasl(_) => {
                let password = password.as_ref().map(Secret::expose).unwrap_or_default();
                let begun = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut out).map_err(plain)?;
                scram = Some(begun);
            }
            Message::AuthenticationSaslContinue(body) => {
                let going = scram.as_mut().ok_or("an answer to nothing")?;
                going.update(body.data()).map_err(plain)?;
                frontend::sasl_response(going.message(), &mut out).map_err(plain)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                scram.as_mut().ok_or("an answer to nothing")?.finish(body.data()).map_err(plain)?;
            }
            Message::DataRow(body) => content = second_column(&body),
            Message::ErrorResponse(body) => return Err(said(&body)),
            Message::ReadyForQuery(_) if asked => {
                out.clear();
                frontend::terminate(&mut out);
                let _ = read.stream.write_all(&out).await;
                return content.ok_or_else(|| String::from("the server sent no history"));
            }
            Message::ReadyForQuery(_) => {
                asked = true;
                frontend::query(&format!("TIMELINE_HISTORY {timeline}"), &mut out).map_err(plain)?;
            }
            _ => {}
        }
        if !out.is_empty() {
            read.stream.write_all(&out).await.map_err(plain)?;
        }
    }
}

fn second_column(body: &postgres_protocol::message::backend::DataRowBody) -> Option<String> {
    use fallible_iterator::FallibleIterator as _;
    let range = body.ranges().nth(1).ok()???;
    Some(String::from_utf8_lossy(body.buffer().get(range)?).into_owned())
}

fn said(body: &postgres_protocol::message::backend::ErrorResponseBody) -> String {
    use fallible_iterator::FallibleIterator as _;
    let mut fields = body.fields();
    let mut text = String::from("an error without a text");
    while let Ok(Some(field)) = fields.next() {
        if field.type_() == b'M' {
            text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        }
    }
    text
}

struct Reader<'a, S> {
    stream: &'a mut S,
    buffer: BytesMut,
    total: usize,
}

impl<S: AsyncRead + Unpin> Reader<'_, S> {
    async fn message(&mut self) -> Result<Message, String> {
        loop {
            if let Some(message) = Message::parse(&mut self.buffer).map_err(plain)? {
                return Ok(message);
            }
            self.buffer.reserve(READ);
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(plain)?;
            self.total += read;
            if read == 0 {
                return Err(String::from("the connection ended"));
            }
            if self.total > MOST_BYTES {
                return Err(format!("the history is larger than {MOST_BYTES} bytes"));
            }
        }
    }
}

/// Lines of `timeline <tab> position <tab> reason`; empty ones and comments are skipped.
fn parse(text: &str) -> Option<Vec<Fork>> {
    let mut forks = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        forks.push(Fork { timeline: words.next()?.parse().ok()?, at: words.next()?.parse().ok()? });
    }
    Some(forks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::failover::lsn::Lsn;

    #[test]
    fn a_history_file() {
        let text = "1\t0/40276B0\tno recovery target specified\n\n# a comment\n2\t16/B374D848\tbefore transaction 5\n";
        let forks =
            [Fork { timeline: 1, at: Lsn(0x402_76B0) }, Fork { timeline: 2, at: Lsn(0x16_B374_D848) }];
        assert_eq!(parse(text).as_deref(), Some(&forks[..]));
        assert_eq!(parse(""), Some(Vec::new()));
        assert_eq!(parse("one\t0/0\tx"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(.|\n|\t){0,80}") {
            let _ = parse(&text);
        }
    }
}
