//! `[[channel.email]]`: one message of plain text to all recipients, by SMTP.
//!
//! The `Message-ID` is made of the notice's id, so that a mail that was taken although its
//! answer was lost is known as a duplicate. A recipient that is refused does not keep the
//! others from theirs, and one that is to be tried again does not give the others a second
//! copy. Wrong would be to wait for the farewell: the mail is delivered before it.

mod session;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, message};
use tokio::time::{Instant, timeout_at};

use self::session::{Failure, Session, Taken};
use super::outcome::{Exchange, Mask};
use super::wording::Wording;
use super::{Channel, Context, Delivery, Made, Outcome, Surroundings, Verdict, credential};
use crate::config::channel::Section as _;
use crate::config::channel::email::{Email, TlsMode};
use crate::model::message::Message;
use crate::model::notice::Notice;
use crate::runtime::credential::Credential;

/// Late in the year 9999, milliseconds: the library that writes dates knows none after it.
const LAST_DATE: u64 = 253_402_207_200_000;

struct Post {
    section: Email,
    password: Credential,
    wording: Wording,
    session: Session,
    /// Of the notice that was tried last: who has it already.
    taken: (String, Vec<Address>),
}

/// See the module.
pub(super) fn make(section: &Email, surroundings: &Surroundings) -> Made {
    let session = Session::new(section);
    let secure = if section.tls == TlsMode::None { "smtp" } else { "smtps" };
    let channel = Box::new(Post {
        password: credential!(section, password, password_file, password_env, surroundings),
        wording: Wording::of(&section.common()),
        section: section.clone(),
        session,
        taken: (String::new(), Vec::new()),
    });
    Made { address: format!("{secure}://{}:{}", section.host, section.real_port()), channel }
}

impl Channel for Post {
    fn kind(&self) -> &'static str {
        Email::KIND
    }

    fn deliver<'a>(&'a mut self, notice: &'a Notice, context: &'a Context) -> Delivery<'a> {
        Box::pin(self.post(notice, context))
    }
}

impl Post {
    async fn post(&mut self, notice: &Notice, context: &Context) -> Outcome {
        let deadline = Instant::now() + self.section.timeout.0;
        let (mut mask, mut notes) = (Mask::default(), Vec::new());
        let again = Verdict::Retry { after: None };
        let password = match self.password.read(deadline).await {
            Ok(password) => password,
            Err(error) => return Outcome::new(again, &error.to_string(), Exchange::default(), &mask),
        };
        password.iter().for_each(|password| mask.hide(password));
        let mut message = Message::of(notice, context);
        self.wording.put(&mut message, &mut notes);
        let mail = match self.mail(&message, notice) {
            Ok(mail) => mail,
            Err(error) => return Outcome::new(Verdict::Refused, &error, Exchange::default(), &mask),
        };
        if self.taken.0 != notice.id {
            self.taken = (notice.id.clone(), Vec::new());
        }
        let waiting: Vec<Address> =
            mail.envelope().to().iter().filter(|to| !self.taken.1.contains(to)).cloned().collect();
        let bytes = mail.formatted();
        let mut exchange = Exchange { request: shown(&mail, &waiting, &bytes), response: String::new() };
        let login = self.section.user.as_deref().zip(password.as_ref());
        let hello = ClientId::Domain(host_name(&context.host));
        let mut heard = Vec::new();
        let sending =
            self.session.send(&hello, login, mail.envelope().from(), &waiting, &bytes, &mut heard, deadline);
        let sent = match timeout_at(deadline, sending).await {
            Ok(sent) => sent,
            Err(_) => {
                let waited = self.section.timeout;
                Err(Failure { verdict: again, reason: format!("no complete answer within {waited}") })
            }
        };
        exchange.response = heard.join("\n");
        let (verdict, answer) = match sent {
            Ok(taken) => self.judge(taken),
            Err(Failure { verdict, reason }) => (verdict, reason),
        };
        Outcome::new(verdict, &answer, exchange, &mask).with_notes(&notes)
    }

    /// The message as RFC 5322 has it.
    fn mail(&self, message: &Message, notice: &Notice) -> Result<Mail, String> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}`: {error}"));
        let host = host_name(&message.host);
        let since = u64::try_from(notice.created_at.millis()).unwrap_or_default().min(LAST_DATE);
        let since = Duration::from_millis(since);
        let mut mail = Mail::builder()
            .from(mailbox(&self.section.from)?)
            .subject(message.title.as_str())
            .date(SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH))
            .message_id(Some(format!("<{}@{host}>", local_part(&message.id))))
            .header(AutoSubmitted);
        if let [only] = message.alerts.as_slice() {
            // What is told of one alert is one conversation.
            mail = mail.references(format!("<{}@{host}>", local_part(&only.id)));
        }
        for to in &self.section.to {
            mail = mail.to(mailbox(to)?);
        }
        mail.header(ContentType::TEXT_PLAIN)
            .body(format!("{}\n", message.text))
            .map_err(|error| format!("no mail can be made of it: {error}"))
    }

    /// What is to happen after the answers for each recipient.
    fn judge(&mut self, taken: Taken) -> (Verdict, String) {
        let Taken { answer, by, refused, later } = taken;
        self.taken.1.extend(by);
        let list = |all: &BTreeMap<String, String>| {
            all.iter().map(|(to, why)| format!("{to}: {why}")).collect::<Vec<_>>().join(", ")
        };
        if !later.is_empty() {
            let after = Verdict::Retry { after: None };
            return (after, format!("not taken now for {}", list(&later)));
        }
        if self.taken.1.is_empty() {
            return (Verdict::Refused, format!("refused for {}", list(&refused)));
        }
        self.taken.0.clear();
        match refused.is_empty() {
            true => (Verdict::Delivered, answer),
            false => (Verdict::Delivered, format!("{answer}; refused for {}", list(&refused))),
        }
    }
}

/// Tells automatic repliers to keep silent (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl message::header::Header for AutoSubmitted {
    fn name() -> message::header::HeaderName {
        message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> message::header::HeaderValue {
        message::header::HeaderValue::new(Self::name(), String::from("auto-generated"))
    }
}

/// A name that can stand after the @ and in a greeting.
fn host_name(host: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || ".-".contains(*c);
    let name: String = host.chars().filter(plain).take(200).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() { String::from("localhost") } else { name.to_owned() }
}

/// An id that can stand before the @.
fn local_part(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let text: String = id.chars().map(plain).take(200).collect();
    let text = text.trim_matches('.').replace("..", ".-");
    if text.is_empty() { String::from("notice") } else { text }
}

fn shown(mail: &Mail, to: &[Address], bytes: &[u8]) -> String {
    let from = mail.envelope().from().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("MAIL FROM:<{from}>\n");
    for to in to {
        text.push_str(&format!("RCPT TO:<{to}>\n"));
    }
    text.push_str("DATA\n\n");
    text.push_str(&String::from_utf8_lossy(bytes).replace("\r\n", "\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_hosts_can_stand_in_an_address() {
        for (id, part) in [("ops:1/a b", "ops-1-a-b"), ("..a..b.", "a.-b"), ("", "notice")] {
            assert_eq!(local_part(id), part);
        }
        for (host, name) in [("nas-01.lan", "nas-01.lan"), ("a b\r\nc", "abc"), ("\u{e4}", "localhost")] {
            assert_eq!(host_name(host), name);
        }
    }
}
