//! A door in front of a real S3 server that can be told to fail, each request in the
//! way asked for, or to pass it on as it came.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use holdfast::runtime::http_client::HttpClient;
use holdfast::runtime::supervisor::Phase;
use holdfast::runtime::tls;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::probing::surroundings;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// This status and S3 error code.
    Answer(u16, &'static str),
    /// No answer.
    Hang,
    /// The real answer, so much later.
    Slow(Duration),
    /// The real answer to GET with other bytes.
    WrongBytes,
    /// This status, for PUT only.
    Put(u16, &'static str),
}

/// See the module. Ends with its runtime.
pub struct S3Door {
    pub port: u16,
    fault: Arc<Mutex<Fault>>,
    seen: Arc<Mutex<Vec<Method>>>,
}

impl S3Door {
    /// Opens a door to the server at `inner`, on a port of its own.
    #[expect(clippy::disallowed_methods, reason = "a server of the test ends with its runtime")]
    pub async fn open(inner: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (fault, seen) = (Arc::new(Mutex::new(Fault::None)), Arc::<Mutex<Vec<Method>>>::default());
        let (told, noted) = (fault.clone(), seen.clone());
        let client = HttpClient::new(
            &surroundings().supervisor,
            Phase::Collect,
            tls::trusting_nobody().expect("no roots"),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (told, noted, client) = (told.clone(), noted.clone(), client.clone());
                let serve = service_fn(move |request: Request<Incoming>| {
                    noted.lock().expect("whole").push(request.method().clone());
                    let fault = *told.lock().expect("whole");
                    pass(request, fault, inner, client.clone())
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve);
                tokio::spawn(connection);
            }
        });
        Self { port, fault, seen }
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().expect("whole") = fault;
    }

    /// Methods of the requests since the last question.
    pub fn requests(&self) -> Vec<Method> {
        std::mem::take(&mut self.seen.lock().expect("whole"))
    }
}

async fn pass(
    request: Request<Incoming>,
    fault: Fault,
    inner: u16,
    client: HttpClient,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let refused = |status: u16, code: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>as told</Message></Error>");
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        Ok(response)
    };
    match fault {
        Fault::Answer(status, code) => return refused(status, code),
        Fault::Put(status, code) if request.method() == Method::PUT => return refused(status, code),
        Fault::Hang => std::future::pending().await,
        Fault::Slow(wait) => drop(tokio::time::timeout(wait, std::future::pending::<()>()).await),
        _ => {}
    }
    let method = request.method().clone();
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    parts.uri = format!("http://127.0.0.1:{inner}{path}").parse().expect("an address");
    let body = body.collect().await.expect("a body").to_bytes();
    let deadline = Instant::now() + Duration::from_secs(20);
    let answer = client.send(Request::from_parts(parts, Full::new(body)), 1 << 20, deadline).await;
    let answer = answer.expect("the real server answers");
    let body = if fault == Fault::WrongBytes && method == Method::GET && !path.contains("list-type") {
        Bytes::from_static(b"other bytes")
    } else {
        answer.body
    };
    let length = answer.headers.get(http::header::CONTENT_LENGTH).cloned();
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status;
    if let Some(length) = length.filter(|_| method == Method::HEAD) {
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length);
    }
    Ok(response)
}
