//! The engine of every channel that speaks HTTP: secrets, text, request, answer, verdict.
//!
//! The pattern: a kind is a [`Preset`], which makes [`Draft`]s of a message and knows
//! nothing of connections, deadlines and masks. Wrong would be a kind that sends by
//! itself: its errors would be unlike those of the others, and one of them would show its
//! address.

mod answer;
pub mod draft;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::answer::{describe, shown, verdict};
pub use self::draft::Draft;
use super::outcome::{Exchange, Mask, Outcome, SHOWN_BODY, Verdict};
use super::wording::Wording;
use super::{Channel, Context, Delivery, Surroundings};
use crate::base::secret::Secret;
use crate::base::time::{Clock, Timestamp};
use crate::config::address::Address;
use crate::config::channel::{Common, WEB};
use crate::model::message::Message;
use crate::model::notice::Notice;
use crate::runtime::credential::Credential;
use crate::runtime::http_client::{Answer, HttpClient};
use crate::runtime::network_failure::NetworkFailure;
use crate::runtime::solitary::Solitary;
use crate::runtime::supervisor::{Phase, Supervisor};
use crate::runtime::tls;

/// What a preset makes its requests of.
pub struct Told<'a> {
    /// With the texts of the channel's own templates.
    pub message: Message,
    /// What those templates said, where there are any.
    pub title: Option<String>,
    pub body: Option<String>,
    pub now: Timestamp,
    /// In the order of [`Preset::credentials`].
    pub secrets: &'a [Option<Secret>],
}

impl Told<'_> {
    /// Where a tap leads: to the alert, or to all of them.
    pub fn link(&self) -> Option<&str> {
        match self.message.alerts.as_slice() {
            [only] => only.link.as_deref(),
            _ => self.message.link.as_deref(),
        }
    }

    /// The secret of the credential at `index`; empty where there is none.
    pub fn secret(&self, index: usize) -> Secret {
        self.secrets.get(index).cloned().flatten().unwrap_or_default()
    }
}

/// A kind of channel over HTTP.
pub trait Preset: Send + Sync {
    /// The word of the kind.
    fn kind(&self) -> &'static str;
    /// What must be known before a request is made.
    fn credentials(&self) -> Vec<&Credential> {
        Vec::new()
    }
    /// Whether the credential at this index is to be hidden.
    fn is_secret(&self, _credential: usize) -> bool {
        true
    }
    /// The requests of a message, which are sent one after the other until one of them is
    /// not taken.
    ///
    /// # Errors
    /// Why there is none, for a person; without secrets.
    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String>;
    /// When the answer says to come again, where it says so in its body.
    fn retry_after(&self, _body: &[u8]) -> Option<Duration> {
        None
    }
}

/// See the module.
pub struct WebChannel {
    preset: Box<dyn Preset>,
    wording: Wording,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    ca_file: Option<PathBuf>,
    reader: Solitary,
    /// The client that was made last, and whether it encrypts.
    client: Option<(bool, HttpClient)>,
    /// How many requests of which notice were taken already: another attempt goes on there.
    taken: (String, usize),
}

impl WebChannel {
    /// A channel of a section with `common` keys; peers are verified by the system's
    /// authorities and those in `ca_file`.
    pub fn boxed(
        preset: impl Preset + 'static,
        common: &Common<'_>,
        ca_file: Option<PathBuf>,
        surroundings: &Surroundings,
    ) -> Box<dyn Channel> {
        Box::new(Self {
            preset: Box::new(preset),
            wording: Wording::of(common),
            timeout: common.timeout.0,
            clock: surroundings.clock.clone(),
            supervisor: surroundings.supervisor.clone(),
            ca_file,
            reader: Solitary::default(),
            client: None,
            taken: (String::new(), 0),
        })
    }

    async fn deliver_once(&mut self, notice: &Notice, context: &Context) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let (mut mask, mut secrets, mut notes) = (Mask::default(), Vec::new(), Vec::new());
        let failed = |error: &str, exchange: Exchange, mask: &Mask| {
            Outcome::new(Verdict::Retry { after: None }, error, exchange, mask)
        };
        for credential in self.preset.credentials() {
            match credential.read(deadline).await {
                Ok(secret) => secrets.push(secret),
                Err(error) => return failed(&error.to_string(), Exchange::default(), &mask),
            }
        }
        let known = secrets.iter().enumerate().filter(|(at, _)| self.preset.is_secret(*at));
        known.filter_map(|(_, secret)| secret.as_ref()).for_each(|secret| mask.hide(secret));
        let mut message = Message::of(notice, context);
        let (title, body) = self.wording.put(&mut message, &mut notes);
        let told = Told { message, title, body, now: self.clock.now(), secrets: &secrets };
        let drafts = match self.preset.drafts(&told) {
            Ok(drafts) => drafts,
            Err(error) => return failed(&error, Exchange::default(), &mask).with_notes(&notes),
        };
        let mut outcome = failed("there is nothing to send", Exchange::default(), &mask);
        let mut exchanges = Exchange::default();
        if self.taken.0 != notice.id {
            self.taken = (notice.id.clone(), 0);
        }
        for draft in drafts.iter().skip(self.taken.1) {
            outcome = self.send(draft, &mut mask, deadline).await;
            exchanges.add(&outcome.exchange);
            if !outcome.is_delivered() {
                break;
            }
            self.taken.1 += 1;
        }
        if outcome.is_delivered() {
            self.taken.0.clear();
        }
        Outcome::new(outcome.verdict, &outcome.answer, exchanges, &mask).with_notes(&notes)
    }

    async fn send(&mut self, draft: &Draft, mask: &mut Mask, deadline: Instant) -> Outcome {
        draft.hide(mask);
        let mut exchange = Exchange { request: draft.shown(), response: String::new() };
        let retry = Verdict::Retry { after: None };
        let request = match draft.request() {
            Ok(request) => request,
            Err(error) => return Outcome::new(retry, &error, exchange, mask),
        };
        let client = match self.client(draft.is_encrypted(), deadline).await {
            Ok(client) => client,
            Err(error) => return Outcome::new(retry, &error, exchange, mask),
        };
        match client.tell(request, SHOWN_BODY, deadline).await {
            Ok(answer) => {
                exchange.response = shown(&answer);
                let verdict = self.judge(&answer);
                Outcome::new(verdict, &describe(&answer, verdict), exchange, mask)
            }
            Err(error) => {
                if error.failure() == NetworkFailure::Tls {
                    // The file with the authorities may have been replaced.
                    self.client = None;
                }
                Outcome::new(retry, &error.to_string(), exchange, mask)
            }
        }
    }

    fn judge(&self, answer: &Answer) -> Verdict {
        match verdict(answer, self.clock.now()) {
            Verdict::Retry { after: None } => {
                Verdict::Retry { after: self.preset.retry_after(&answer.body).map(answer::bounded) }
            }
            verdict => verdict,
        }
    }

    async fn client(&mut self, encrypted: bool, deadline: Instant) -> Result<HttpClient, String> {
        if let Some((_, client)) = self.client.as_ref().filter(|(made, _)| *made == encrypted) {
            return Ok(client.clone());
        }
        let file = self.ca_file.clone();
        // Without TLS the system's authorities are not read at all.
        let make = move || if encrypted { tls::verified(file.as_deref()) } else { tls::trusting_nobody() };
        let made = self.reader.run("authorities", Instant::now(), deadline, make).await;
        let config = made.map_err(|error| format!("the certificates are not read: {error}"))?;
        let config = config.map_err(|error| error.to_string())?;
        let client = HttpClient::new(&self.supervisor, Phase::Engine, config);
        self.client = Some((encrypted, client.clone()));
        Ok(client)
    }
}

impl Channel for WebChannel {
    fn kind(&self) -> &'static str {
        self.preset.kind()
    }

    fn deliver<'a>(&'a mut self, notice: &'a Notice, context: &'a Context) -> Delivery<'a> {
        Box::pin(self.deliver_once(notice, context))
    }
}

/// The same of an address that is a secret.
pub fn hidden_origin(url: Option<&Secret>) -> String {
    origin(url.map_or("", Secret::expose))
}

/// Scheme, host and port of `url`, for people.
pub fn origin(url: &str) -> String {
    match Address::of_url(url, &WEB) {
        Ok(address) => format!("{}://{}", address.scheme, address.authority()),
        Err(_) => String::from("an address that is not read yet"),
    }
}
