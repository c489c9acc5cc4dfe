//! One conversation with a mail server: connect, encrypt, log in, hand over.
//!
//! | answer | verdict |
//! |---|---|
//! | no connection, no TLS, no greeting, 4xx | again |
//! | 5xx to login, sender, recipient or message | refused |
//!
//! Every recipient is asked for by itself, so that one wrong address costs one recipient.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::wire::{self, Wire};
use crate::base::secret::Secret;
use crate::base::words::one_line;
use crate::channels::outcome::Verdict;
use crate::config::channel::email::{Email, TlsMode};
use crate::runtime::dial::Dialer;
use crate::runtime::solitary::Solitary;
use crate::runtime::{network_failure, tls};

/// What the farewell may take.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(250);
/// Ways to log in, the one to prefer first; both only where the connection is encrypted
/// or local, which the configuration sees to.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// Where the server is and how it is spoken to.
pub struct Session {
    host: String,
    dialer: Dialer,
    mode: TlsMode,
    ca_file: Option<PathBuf>,
    reader: Solitary,
    trust: Option<Arc<ClientConfig>>,
}

/// Why it ended before its end.
pub struct Failure {
    pub verdict: Verdict,
    pub reason: String,
}

impl Failure {
    fn again(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Retry { after: None }, reason: reason.into() }
    }

    /// What the server said to `what`; an error of the connection is no answer.
    fn of(what: &str, error: &Error) -> Self {
        let verdict = if error.is_permanent() { Verdict::Refused } else { Verdict::Retry { after: None } };
        Self { verdict, reason: format!("{what}: {}", network_failure::describe(error)) }
    }
}

/// Who took the message.
#[derive(Default)]
pub struct Taken {
    /// The last answer.
    pub answer: String,
    pub by: Vec<Address>,
    /// By recipient, what the server said.
    pub refused: BTreeMap<String, String>,
    pub later: BTreeMap<String, String>,
}

impl Session {
    pub fn new(section: &Email) -> Self {
        Self {
            dialer: Dialer::new(section.host.clone(), section.real_port()),
            host: section.host.clone(),
            mode: section.tls,
            ca_file: section.tls_ca_file.clone(),
            reader: Solitary::default(),
            trust: None,
        }
    }

    /// Hands `mail` over for every one of `to`; what the server said goes to `heard`.
    ///
    /// # Errors
    /// [`Failure`]: nobody has it.
    #[expect(clippy::too_many_arguments, reason = "the parts of an envelope")]
    pub async fn send(
        &mut self,
        hello: &ClientId,
        login: Option<(&str, &Secret)>,
        from: Option<&Address>,
        to: &[Address],
        mail: &[u8],
        heard: &mut Vec<String>,
        deadline: Instant,
    ) -> Result<Taken, Failure> {
        let wire = self.open(hello, heard, deadline).await?;
        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(wire), hello).await;
        let mut server = greeted
            .map_err(|error| Failure::again(format!("greeting: {}", network_failure::describe(&error))))?;
        heard.push(format!("greeting: {}", server.server_info().name()));
        if let Some((user, password)) = login {
            let credentials = Credentials::new(user.to_owned(), password.expose().to_owned());
            let answer = server.auth(&MECHANISMS, &credentials).await;
            note(heard, "login", &answer);
            answer.map_err(|error| Failure::of("login", &error))?;
        }
        let taken = hand_over(&mut server, from, to, mail, heard).await;
        // The mail is theirs already.
        let _ = timeout_at(deadline.min(Instant::now() + FAREWELL), server.quit()).await;
        taken
    }

    /// A connection on which the server is yet to greet.
    async fn open(
        &mut self,
        hello: &ClientId,
        heard: &mut Vec<String>,
        deadline: Instant,
    ) -> Result<Wire, Failure> {
        let dialled = self.dialer.dial(deadline).await.map_err(|error| Failure::again(error.to_string()))?;
        let mut stream = dialled.stream;
        match self.mode {
            TlsMode::None => return Ok(Wire::plain(stream)),
            TlsMode::Tls => {}
            TlsMode::Starttls => {
                let asked = wire::start_tls(&mut stream, &hello.to_string(), heard).await;
                asked.map_err(|error| Failure::again(format!("STARTTLS: {error}")))?;
            }
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| Failure::again(format!("`{}` is no name to verify", self.host)))?;
        let connector = TlsConnector::from(self.trust(deadline).await?);
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Wire::encrypted(stream, self.mode == TlsMode::Starttls)),
            Err(error) => {
                // The file with the authorities may have been replaced.
                self.trust = None;
                Err(Failure::again(format!("TLS: {}", network_failure::describe(&error))))
            }
        }
    }

    async fn trust(&mut self, deadline: Instant) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = &self.trust {
            return Ok(config.clone());
        }
        let file = self.ca_file.clone();
        let made =
            self.reader.run("authorities", Instant::now(), deadline, move || tls::verified(file.as_deref()));
        let config =
            made.await.map_err(|error| Failure::again(format!("the certificates are not read: {error}")))?;
        let config = config.map_err(|error| Failure::again(error.to_string()))?;
        Ok(self.trust.insert(config).clone())
    }
}

async fn hand_over(
    server: &mut AsyncSmtpConnection,
    from: Option<&Address>,
    to: &[Address],
    mail: &[u8],
    heard: &mut Vec<String>,
) -> Result<Taken, Failure> {
    let mut parameters = Vec::new();
    if !mail.is_ascii() && server.server_info().supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let answer = server.command(Mail::new(from.cloned(), parameters)).await;
    note(heard, "sender", &answer);
    answer.map_err(|error| Failure::of("sender", &error))?;
    let mut taken = Taken::default();
    for recipient in to {
        let answer = server.command(Rcpt::new(recipient.clone(), Vec::new())).await;
        note(heard, &format!("recipient {recipient}"), &answer);
        match answer {
            Ok(_) => taken.by.push(recipient.clone()),
            Err(error) if error.status().is_none() => return Err(Failure::of("recipient", &error)),
            Err(error) => {
                let list = if error.is_permanent() { &mut taken.refused } else { &mut taken.later };
                list.insert(recipient.to_string(), network_failure::describe(&error));
            }
        }
    }
    if taken.by.is_empty() {
        return Ok(taken);
    }
    let answer = server.command(Data).await;
    note(heard, "data", &answer);
    answer.map_err(|error| Failure::of("data", &error))?;
    let answer = server.message(mail).await;
    note(heard, "message", &answer);
    taken.answer = said(&answer.map_err(|error| Failure::of("message", &error))?);
    Ok(taken)
}

fn note(heard: &mut Vec<String>, what: &str, answer: &Result<Response, Error>) {
    let text = match answer {
        Ok(response) => said(response),
        Err(error) => network_failure::describe(error),
    };
    heard.push(format!("{what}: {text}"));
}

fn said(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    one_line(&format!("{} {}", response.code(), lines.join(" ")))
}
