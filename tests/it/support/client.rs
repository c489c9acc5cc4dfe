//! A small HTTP client: one connection per request, the whole answer in memory.

use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::documented;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The problem's code, after checking that it has all that a problem has.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], u64::from(self.status));
        for member in ["type", "title", "detail", "instance", "code", "trace_id"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {body}");
        }
        body["code"].as_str().unwrap().to_owned()
    }
}

/// A request being put together.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Ask {
    pub fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: &str, kind: &str, body: impl Into<Bytes>) -> Self {
        let ask = Self::new(Method::POST, path).header("content-type", kind);
        Self { body: body.into(), ..ask }
    }

    pub fn patch(path: &str, body: &Value) -> Self {
        let ask = Self::new(Method::PATCH, path).header("content-type", "application/merge-patch+json");
        Self { body: body.to_string().into(), ..ask }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub async fn over_tcp(self, address: std::net::SocketAddr) -> Answer {
        self.over(TcpStream::connect(address).await.unwrap(), &address.to_string()).await
    }

    pub async fn over_unix(self, path: &Path) -> Answer {
        self.over(UnixStream::connect(path).await.unwrap(), "localhost").await
    }

    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, host: &str) -> Answer {
        let (method, path) = (self.method.to_string(), self.path.clone());
        let mut request = Request::builder().method(self.method).uri(self.path).header("connection", "close");
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", host);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body)).unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let exchange = async move {
            let answer = sender.send_request(request).await.unwrap();
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer { status: parts.status.as_u16(), headers: parts.headers, body }
        };
        let (answer, _) = tokio::join!(exchange, connection);
        documented::check(&method, &path, &answer);
        answer
    }
}
