//! A web server that keeps what it is sent and answers as the path says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().expect("text")
    }
}

type Kept = Arc<Mutex<Vec<Received>>>;

/// Serves until it is dropped.
pub struct Receiver {
    pub port: u16,
    kept: Kept,
    _task: JoinSet<()>,
}

impl Receiver {
    /// `/status/N...` answers N, `/wait/S` 429 with `Retry-After: S`, `/slow` never,
    /// `/stalling` 200 and half a body, `/large` 200 and 8 MiB, `/echo...` 400 and all that
    /// was sent, `/moved` leads elsewhere, `/flood/...` 429 as Telegram says it, and
    /// everything else is fine.
    pub async fn start() -> Self {
        let kept = Kept::default();
        let router = Router::new().fallback(any(answer)).with_state(kept.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { port, kept, _task: task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What came since this was asked last.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.kept.lock().expect("not poisoned"))
    }

    /// The one request that came.
    #[track_caller]
    pub fn only(&self) -> Received {
        let all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }
}

async fn answer(
    State(kept): State<Kept>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.to_string();
    let received = Received { method, path: path.clone(), headers, body };
    kept.lock().expect("not poisoned").push(received.clone());
    let parts: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        ["status", code, ..] => {
            (StatusCode::from_u16(code.parse().expect("a code")).expect("a status"), "as you wish")
                .into_response()
        }
        ["wait", seconds] => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.replace("%20", " "))])
                .into_response()
        }
        ["slow", ..] => std::future::pending().await,
        ["stalling"] => {
            let half = futures_util::stream::iter([Ok::<_, std::io::Error>("half")]);
            Body::from_stream(half.chain(futures_util::stream::pending())).into_response()
        }
        ["large"] => vec![b'x'; 8 << 20].into_response(),
        ["moved"] => (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response(),
        ["flood", ..] => {
            let said = json!({"ok": false, "error_code": 429, "parameters": {"retry_after": 7}});
            (StatusCode::TOO_MANY_REQUESTS, said.to_string()).into_response()
        }
        ["echo", ..] => {
            let said = format!("{path}\n{:?}\n{}", received.headers, String::from_utf8_lossy(&received.body));
            (StatusCode::BAD_REQUEST, [("x-echo", path)], said).into_response()
        }
        _ => "ok".into_response(),
    }
}
