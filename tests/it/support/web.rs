//! A web server that answers as its address says.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves until it is dropped.
pub struct Web {
    pub port: u16,
    _task: JoinSet<()>,
}

impl Web {
    /// `/status/N` answers N, `/busy` 503 with a time to come again, `/moved` leads to
    /// `/token`, `/token` wants the token `right-token`, `/slow` never answers,
    /// `/large` has 8 MiB.
    pub async fn start() -> Self {
        let status = |Path(code): Path<u16>| async move { StatusCode::from_u16(code).unwrap() };
        let router = Router::new()
            .route("/", get(|| async { "all is well" }))
            .route("/status/{code}", get(status))
            .route("/busy", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")]) }))
            .route("/moved", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/token")]) }))
            .route("/token", get(token))
            .route("/slow", get(|| async { std::future::pending::<()>().await }))
            .route("/large", get(|| async { vec![b'x'; 8 << 20] }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { port, _task: task }
    }

    /// A target section for this server.
    pub fn section(&self, path: &str, more: &str) -> String {
        let port = self.port;
        format!(
            "[[target.http]]\nname = \"web\"\nurl = \"http://127.0.0.1:{port}{path}\"\ntimeout = \"1s\"\n{more}\n"
        )
    }
}

async fn token(headers: HeaderMap) -> Response {
    let right = headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer right-token");
    if right { "welcome".into_response() } else { StatusCode::UNAUTHORIZED.into_response() }
}
