//! `[[target.http]]`: one request, judged by its status and its body.
//!
//! The one operation is `request`; there is nothing cheaper, so a light probe is the
//! same. Redirects are not followed: a request, and the token in it, goes where the
//! configuration says.
//!
//! | class | when |
//! |---|---|
//! | hard | refused, reset, timeout, TLS, not HTTP; 5xx; the body lacks what it must contain |
//! | soft | 429; 503 that says when to come again (`Retry-After`) |
//! | alive | every other status that is not accepted: 4xx, a redirect, an unexpected success; an answer too long to read; the token or the authorities are not read |
//!
//! The body is what the user wants to be sure of, so its absence is a failure of the
//! service although the status is right.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use tokio::time::Instant;

use super::course::Course;
use super::outcome::Outcome;
use super::record::Recorder;
use super::trust::Trust;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::time::Clock;
use crate::config::address::Address;
use crate::config::target::http::{Http, Method};
use crate::model::probe::OutcomeClass;
use crate::runtime::credential::Credential;
use crate::runtime::http_client::{Answer, HttpClient, HttpError};
use crate::runtime::supervisor::{Phase, Supervisor};

const KIND: &str = "http";
/// Longest body that is read, bytes.
const MAX_BODY: usize = 4 << 20;

/// See the module.
pub struct HttpTarget {
    address: Address,
    method: Method,
    /// Empty for every success.
    status: Vec<u16>,
    body_contains: Option<String>,
    token: Credential,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    recorder: Recorder,
    trust: Trust,
    client: Option<HttpClient>,
}

impl HttpTarget {
    pub fn new(section: Http, surroundings: &Surroundings) -> Self {
        let token = Credential::of(
            section.bearer_token.as_ref(),
            section.bearer_token_file.as_deref(),
            section.bearer_token_env.as_deref(),
            &surroundings.environment,
        );
        Self {
            // What is no address was refused when the configuration was read.
            address: section.place().unwrap_or_default(),
            recorder: Recorder::new(section.name, KIND),
            method: section.method,
            status: section.status,
            body_contains: section.body_contains,
            token,
            timeout: section.timeout.0,
            clock: surroundings.clock.clone(),
            supervisor: surroundings.supervisor.clone(),
            trust: Trust::new(section.tls_ca_file, &[]),
            client: None,
        }
    }

    async fn probe_once(&mut self) -> Probed {
        let mut course = Course::start(&self.clock, self.timeout);
        let watch = course.watch();
        let answer = self.request(course.deadline).await;
        let outcome = match &answer {
            Ok(answer) => self.judge(answer),
            Err(outcome) => outcome.clone(),
        };
        let tls_failed = outcome.code == "tls";
        if tls_failed || answer.is_ok() {
            course.certificate(&self.recorder, self.trust.seen());
        }
        if tls_failed {
            self.client = None;
            self.trust.forget();
        }
        course.note("request", &watch, outcome);
        self.write(answer.ok().as_ref(), &mut course);
        course.finish(&mut self.recorder)
    }

    async fn request(&mut self, deadline: Instant) -> Result<Answer, Outcome> {
        let token = self.token.read(deadline).await;
        let token = token.map_err(|error| Outcome::configuration("bearer_token", error.to_string()))?;
        let method = match self.method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
        };
        let Address { scheme, path, .. } = &self.address;
        let path = if path.is_empty() { "/" } else { path };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{scheme}://{}{path}", self.address.authority()))
            .header(header::USER_AGENT, concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*");
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| Outcome::configuration("bearer_token", "it cannot stand in a header"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request
            .body(Full::new(Bytes::new()))
            .map_err(|_| Outcome::configuration("url", "no request can be made of it"))?;
        let client = self.client(deadline).await?;
        client.send(request, MAX_BODY, deadline).await.map_err(|error| match error {
            HttpError::TooLarge { .. } => Outcome::configuration("too_large", error.to_string()),
            error => Outcome::network(error.failure(), error.to_string()),
        })
    }

    async fn client(&mut self, deadline: Instant) -> Result<HttpClient, Outcome> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let (config, _) = self.trust.config(deadline).await?;
        Ok(self.client.insert(HttpClient::new(&self.supervisor, Phase::Collect, config)).clone())
    }

    fn judge(&self, answer: &Answer) -> Outcome {
        let status = answer.status.as_u16();
        let accepted = match self.status.as_slice() {
            [] => answer.status.is_success(),
            known => known.contains(&status),
        };
        if !accepted {
            let class = match status {
                429 => OutcomeClass::Soft,
                503 if answer.headers.contains_key(header::RETRY_AFTER) => OutcomeClass::Soft,
                500.. => OutcomeClass::Hard,
                _ => OutcomeClass::Alive,
            };
            let reason = answer.status.canonical_reason().unwrap_or_default();
            return Outcome::new(
                class,
                format!("http_{status}"),
                format!("HTTP {status} {reason}").trim_end(),
            );
        }
        match &self.body_contains {
            Some(text) if !contains(&answer.body, text.as_bytes()) => {
                let detail = format!("HTTP {status}, but the body does not contain `{text}`");
                Outcome::new(OutcomeClass::Hard, "body", detail)
            }
            _ => Outcome::ok(),
        }
    }

    /// What was answered, under blackbox_exporter's names.
    fn write(&self, answer: Option<&Answer>, course: &mut Course) {
        let labels = self.recorder.labels();
        let status = answer.map_or(0.0, |answer| f64::from(answer.status.as_u16()));
        course.frame.gauge("probe_http_status_code", "Response HTTP status code").push(&labels, status);
        let Some(answer) = answer else { return };
        let length = answer.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length = length.and_then(|text| text.parse().ok()).unwrap_or(-1.0);
        let encrypted = f64::from(u8::from(self.address.scheme == "https"));
        course
            .frame
            .gauge("probe_http_content_length", "Length of http content response")
            .push(&labels, length)
            .gauge("probe_http_uncompressed_body_length", "Length of uncompressed response body")
            .push(&labels, answer.body.len() as f64)
            .gauge("probe_http_ssl", "Indicates if SSL was used for the final redirect")
            .push(&labels, encrypted);
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

impl Target for HttpTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn address(&self) -> String {
        self.address.shown()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn probe(&mut self, _depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
        Box::pin(self.probe_once())
    }
}
