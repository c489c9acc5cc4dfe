//! The one HTTP client of the binary: HTTP/1.1 over [`super::dial`] and rustls.
//!
//! Every request has a deadline over everything it does (name, connection,
//! request, answer) and a limit on the answer's body. Redirects are not followed:
//! a request goes where the configuration says or nowhere. Connection tasks are
//! started by the supervisor like every other task.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::dial::{DialError, Dialer};
use super::network_failure::{self, NetworkFailure};
use super::supervisor::{Phase, Supervisor};

/// An idle connection is kept this long: probes every few seconds reuse one,
/// probes every half minute prove that a new one can be made.
const IDLE: Duration = Duration::from_secs(10);
/// Hosts whose addresses are remembered.
const MAX_HOSTS: usize = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{detail}")]
    Failed { failure: NetworkFailure, detail: String },
    #[error("no complete answer within {}ms", waited.as_millis())]
    Timeout { waited: Duration },
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
}

impl HttpError {
    pub fn failure(&self) -> NetworkFailure {
        match self {
            Self::Failed { failure, .. } => *failure,
            Self::Timeout { .. } => NetworkFailure::Timeout,
            Self::TooLarge { .. } => NetworkFailure::Protocol,
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// See the module; cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    inner: Client<HttpsConnector<Connector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that verifies `https` peers by `tls`; its connections end with `phase`.
    pub fn new(supervisor: &Supervisor, phase: Phase, tls: Arc<ClientConfig>) -> Self {
        let connector = HttpsConnector::from((Connector::default(), tls));
        let spawner = Spawner { supervisor: supervisor.clone(), phase };
        let inner = Client::builder(spawner)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(2)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { inner }
    }

    /// Sends `request` and reads the answer, at most `limit` bytes of body.
    ///
    /// # Errors
    /// [`HttpError`]; any status is an answer, not an error.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, HttpError> {
        let started = Instant::now();
        let exchange = async {
            let response = self.inner.request(request).await.map_err(|error| failed(&error))?;
            let (head, mut body) = response.into_parts();
            let mut read = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| failed(&error))?;
                if let Ok(data) = frame.into_data() {
                    if read.len() + data.len() > limit {
                        return Err(HttpError::TooLarge { limit });
                    }
                    read.extend_from_slice(&data);
                }
            }
            Ok(Answer { status: head.status, headers: head.headers, body: read.freeze() })
        };
        timeout_at(deadline, exchange)
            .await
            .unwrap_or_else(|_| Err(HttpError::Timeout { waited: started.elapsed() }))
    }

    /// Sends `request`, whose answer is in its status: of the body the first `limit` bytes
    /// are read, or fewer where it breaks off or `deadline` comes. For what must not be
    /// sent again because the peer, having taken it, talks too long.
    ///
    /// # Errors
    /// [`HttpError`] when there is no status.
    pub async fn tell(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, HttpError> {
        let started = Instant::now();
        let response = timeout_at(deadline, self.inner.request(request)).await;
        let response = response.map_err(|_| HttpError::Timeout { waited: started.elapsed() })?;
        let (head, mut body) = response.map_err(|error| failed(&error))?.into_parts();
        let mut read = BytesMut::new();
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data[..data.len().min(limit - read.len())]);
                }
                if read.len() >= limit {
                    break;
                }
            }
        };
        // Whatever came is what there is to show.
        let _ = timeout_at(deadline, reading).await;
        Ok(Answer { status: head.status, headers: head.headers, body: read.freeze() })
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> HttpError {
    HttpError::Failed {
        failure: network_failure::of(error).unwrap_or(NetworkFailure::Io),
        detail: network_failure::describe(error),
    }
}

/// Starts connection tasks.
#[derive(Clone)]
struct Spawner {
    supervisor: Supervisor,
    phase: Phase,
}

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let stop = self.supervisor.stop_of(self.phase);
        self.supervisor.spawn_once(self.phase, async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = task => {}
            }
        });
    }
}

/// By host and port.
type Hosts = BTreeMap<(String, u16), Arc<Dialer>>;

/// Makes TCP connections and remembers addresses per host.
#[derive(Clone, Default)]
struct Connector {
    hosts: Arc<Mutex<Hosts>>,
}

impl Connector {
    fn dialer(&self, uri: &Uri) -> Arc<Dialer> {
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        // An IPv6 address stands in brackets in an address, and without them elsewhere.
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let key = (host.to_owned(), uri.port_u16().unwrap_or(default));
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(&key) {
            hosts.clear();
        }
        let made = || Arc::new(Dialer::new(key.0.clone(), key.1));
        hosts.entry(key.clone()).or_insert_with(made).clone()
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.dialer(&uri);
        // A connection is made in the background and may outlive the request that
        // asked for it, so it needs a bound of its own.
        let deadline = Instant::now() + CONNECT;
        Box::pin(async move {
            let dialled = dialer.dial(deadline).await?;
            if let Some(problem) = dialled.dns_problem {
                tracing::warn!(%problem, "the last known address was used");
            }
            Ok(TokioIo::new(dialled.stream))
        })
    }
}

/// Bound on making one connection.
const CONNECT: Duration = Duration::from_secs(10);
