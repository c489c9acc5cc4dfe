//! Asks the running agent: HTTP/1 through its socket, or to a URL.
//!
//! The socket needs no token, because the agent sees who is at the other end. A
//! token for a URL comes from the environment and never from an argument, which
//! every user of the host could read.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::UnixStream;

use super::Global;
use super::exit::{FAILED, Failure, NOT_PERMITTED, UNREACHABLE, USAGE};
use super::output::{note, text_of};
use super::surroundings::Surroundings;
use crate::base::secret::Secret;
use crate::runtime::tls::{self, TlsError};

/// For one request with its answer.
const DEADLINE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
/// More than any answer has.
const MOST_BYTES: usize = 64 << 20;

/// Of one answer.
const MOST_ERRORS: usize = 20;
/// Items of a page, the most that the agent gives, and pages of a list.
const PAGE: usize = 1000;
const MOST_PAGES: usize = 100;

/// Where the agent is.
#[derive(Clone, Debug)]
enum Place {
    Socket(PathBuf),
    /// Without the slash at the end.
    Url(String),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Client {
    place: Place,
    token: Option<Secret>,
    /// Whom to trust beside the system's authorities, PEM.
    ca_file: Option<PathBuf>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none, so whatever answered is no holdfast.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Failure::new(
                FAILED,
                format!("the answer (status {}) is not JSON: is this holdfast?", self.status),
            )
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The answer if it is one of success.
    ///
    /// # Errors
    /// What the agent said, with its hint.
    pub fn success(self) -> Result<Self, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let code = if matches!(self.status, 401 | 403) { NOT_PERMITTED } else { FAILED };
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let mut message = match text_of(&problem["title"]) {
            title if !title.is_empty() => title,
            _ => format!("the agent answered with status {}", self.status),
        };
        for part in ["detail", "hint"] {
            let text = text_of(&problem[part]);
            if !text.is_empty() {
                let lead = if part == "hint" { "\nhint: " } else { ": " };
                message = format!("{message}{lead}{text}");
            }
        }
        for error in problem["errors"].as_array().into_iter().flatten().take(MOST_ERRORS) {
            message = format!("{message}\n  {}", text_of(&error["detail"]));
        }
        Err(Failure::new(code, message))
    }
}

impl Client {
    /// Talks to where the arguments and the environment say.
    ///
    /// # Errors
    /// The URL is none, or the token cannot be read.
    pub fn new(global: &Global, surroundings: &Surroundings) -> Result<Self, Failure> {
        let url = global.url.as_deref().or_else(|| surroundings.variable("HOLDFAST_URL"));
        let Some(url) = url else {
            let socket = surroundings.data_dir(global).join("holdfast.sock");
            return Ok(Self { place: Place::Socket(socket), token: None, ca_file: None });
        };
        let whole = url.starts_with("http://") || url.starts_with("https://");
        if !whole || url.contains(['?', '#', '@']) || url.parse::<hyper::Uri>().is_err() {
            return Err(Failure::new(
                USAGE,
                format!("`{url}` is not a URL, expected for example http://127.0.0.1:3003"),
            ));
        }
        let token =
            match (surroundings.variable("HOLDFAST_TOKEN"), surroundings.variable("HOLDFAST_TOKEN_FILE")) {
                (Some(token), _) => Some(Secret::new(token.trim())),
                (None, Some(path)) => {
                    let text = std::fs::read_to_string(path);
                    let text = text
                        .map_err(|error| Failure::io(format!("cannot read the token file {path}"), &error))?;
                    Some(Secret::new(text.trim()))
                }
                (None, None) => None,
            };
        if token.is_some() && in_the_clear(url) {
            note(
                "holdfast: warning: the token goes over the network unencrypted; use https:// or an SSH tunnel",
            );
        }
        let ca_file = surroundings.variable("HOLDFAST_CA_FILE").map(PathBuf::from);
        Ok(Self { place: Place::Url(url.trim_end_matches('/').to_owned()), token, ca_file })
    }

    /// Whether the agent of this host is asked, through its socket.
    pub const fn is_local(&self) -> bool {
        matches!(self.place, Place::Socket(_))
    }

    /// # Errors
    /// The agent cannot be reached or did not answer in time.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send("GET", path, "", Bytes::new()).await
    }

    /// # Errors
    /// The agent cannot be reached or did not answer in time.
    pub async fn post(&self, path: &str, content_type: &str, body: Bytes) -> Result<Answer, Failure> {
        self.send("POST", path, content_type, body).await
    }

    /// # Errors
    /// The agent cannot be reached or did not answer in time.
    pub async fn put(&self, path: &str, body: Bytes) -> Result<Answer, Failure> {
        self.put_any(path, "application/json", body).await
    }

    /// # Errors
    /// The agent cannot be reached or did not answer in time.
    pub async fn patch(&self, path: &str, body: Bytes) -> Result<Answer, Failure> {
        self.send("PATCH", path, "application/json", body).await
    }

    /// # Errors
    /// The agent cannot be reached or did not answer in time.
    pub async fn delete(&self, path: &str) -> Result<Answer, Failure> {
        self.send("DELETE", path, "", Bytes::new()).await
    }

    /// Replaces whatever is there.
    ///
    /// # Errors
    /// The agent cannot be reached or did not answer in time.
    pub async fn put_any(&self, path: &str, content_type: &str, body: Bytes) -> Result<Answer, Failure> {
        self.send("PUT", path, content_type, body).await
    }

    /// The JSON of a successful GET.
    ///
    /// # Errors
    /// As [`Client::get`], or what the agent said.
    pub async fn fetch(&self, path: &str) -> Result<Value, Failure> {
        self.get(path).await?.success()?.json()
    }

    /// A whole list, whose items are at `key`: one page after the other.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub async fn fetch_all(&self, path: &str, key: &str) -> Result<Value, Failure> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut all: Vec<Value> = Vec::new();
        for _ in 0..MOST_PAGES {
            let from = if all.is_empty() { String::new() } else { format!("&offset={}", all.len()) };
            let mut answer = self.fetch(&format!("{path}{mark}limit={PAGE}{from}")).await?;
            let page = answer[key].as_array_mut().map(std::mem::take).unwrap_or_default();
            let (last, total) = (page.is_empty(), answer["total"].as_u64().unwrap_or(0));
            all.extend(page);
            if last || all.len() as u64 >= total {
                answer[key] = Value::Array(all);
                if let Some(next) = answer.get_mut("next") {
                    *next = Value::Null;
                }
                return Ok(answer);
            }
        }
        Err(Failure::new(FAILED, format!("the list is longer than {} items", all.len())))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let exchange = async {
            let (base, host) = match &self.place {
                Place::Socket(_) => ("", Some("localhost")),
                Place::Url(url) => (url.as_str(), None),
            };
            let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
            request = request.header("accept", "application/json").header("user-agent", "holdfast-cli");
            if let Some(host) = host {
                request = request.header("host", host);
            }
            if !content_type.is_empty() {
                request = request.header("content-type", content_type);
            }
            if method == "PUT" {
                request = request.header("if-match", "*");
            }
            if let Some(token) = &self.token {
                request = request.header("authorization", format!("Bearer {}", token.expose()));
            }
            let request = request.body(Full::new(body));
            let request =
                request.map_err(|error| Failure::new(USAGE, format!("cannot ask for {path}: {error}")))?;
            match &self.place {
                Place::Socket(socket) => self.through_socket(socket, request).await,
                Place::Url(url) => through_url(url, self.ca_file.as_deref(), request).await,
            }
        };
        let late = || {
            Failure::new(
                UNREACHABLE,
                format!("the agent at {} did not answer within {} s", self.place(), DEADLINE.as_secs()),
            )
        };
        tokio::time::timeout(DEADLINE, exchange).await.map_err(|_| late())?
    }

    fn place(&self) -> String {
        match &self.place {
            Place::Socket(socket) => socket.display().to_string(),
            Place::Url(url) => url.clone(),
        }
    }

    async fn through_socket(
        &self,
        socket: &std::path::Path,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Failure> {
        let stream = UnixStream::connect(socket).await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&self.place(), &error))?;
        // Nobody but the connection itself moves bytes, so both run side by side.
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| lost(&self.place(), &error))?;
            read(response).await
        };
        let mut exchange = std::pin::pin!(exchange);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => match ended {
                Ok(()) => exchange.await,
                Err(error) => Err(lost(&self.place(), &error)),
            },
        }
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        let place = self.place();
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            let message = format!(
                "not permitted to talk to the agent at {place}\nhint: run this as the user the agent runs as, or as root, or give --url and HOLDFAST_TOKEN"
            );
            return Failure::new(NOT_PERMITTED, message);
        }
        let message = format!(
            "the agent is not reachable at {place}: {error}\nhint: is it running (`holdfast run`), and is this its --data-dir?"
        );
        Failure::new(UNREACHABLE, message)
    }
}

fn lost(place: &str, error: &hyper::Error) -> Failure {
    Failure::new(UNREACHABLE, format!("the agent at {place} did not answer: {error}"))
}

async fn through_url(
    url: &str,
    ca_file: Option<&std::path::Path>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Failure> {
    let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT));
    connector.enforce_http(false);
    let cannot = |error: TlsError| Failure::new(FAILED, error);
    let tls = if url.starts_with("https://") { tls::verified(ca_file) } else { tls::trusting_nobody() };
    let tls = rustls::ClientConfig::clone(&*tls.map_err(cannot)?);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let response = client.request(request).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new(UNREACHABLE, format!("the agent is not reachable at {url}: {error}{cause}"))
    })?;
    read(response).await
}

async fn read(response: Response<Incoming>) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
    let body = body.map_err(|error| Failure::new(UNREACHABLE, format!("the answer broke off: {error}")))?;
    Ok(Answer { status, body: body.to_bytes() })
}

/// Whether what is sent to `url` can be read on the way.
fn in_the_clear(url: &str) -> bool {
    let parsed = url.parse::<hyper::Uri>().ok();
    let host = parsed.as_ref().and_then(|uri| uri.host()).unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.starts_with("http://") && !local
}

/// `text` for a place in a URL's path or query.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Runs a command that talks to the agent.
///
/// # Errors
/// What the command says, or there is no runtime to be had.
pub fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(FAILED, format!("cannot start: {error}")))?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_and_tls_keep_a_token_to_themselves() {
        for safe in ["http://127.0.0.1:3003", "http://[::1]:1", "http://localhost", "https://nas.example"] {
            assert!(!in_the_clear(safe), "{safe}");
        }
        assert!(in_the_clear("http://nas.example:3003"));
    }

    #[test]
    fn a_selector_survives_a_url() {
        assert_eq!(escape("up{a=\"b c\"}"), "up%7Ba%3D%22b%20c%22%7D");
    }

    #[test]
    fn what_the_agent_says_is_said_on() {
        let body = Bytes::from_static(
            br#"{"title":"Not found","detail":"no target `x`","hint":"`holdfast targets ls`"}"#,
        );
        let failure = Answer { status: 404, body }.success().unwrap_err();
        assert_eq!(failure.message, "Not found: no target `x`\nhint: `holdfast targets ls`");
        assert_eq!(failure.code, FAILED);
        let failure = Answer { status: 403, body: Bytes::new() }.success().unwrap_err();
        assert_eq!(failure.code, NOT_PERMITTED);
    }
}
