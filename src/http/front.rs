//! What every request passes before and after its handler.
//!
//! One plain function instead of a stack of layers: each layer would box a future
//! and clone a service per request, and `/health` is asked thousands of times a
//! second. Before: the store is open, the host is ours, the origin may. After:
//! errors get their body, answers their headers, the counters their figures.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tower::Service as _;

use super::auth::hosts;
use super::auth::peer::Peer;
use super::dialect::Dialect;
use super::error::Problem;
use super::state::{App, AppState, Services};
use crate::base::secret::MASK;
use crate::base::time::Monotonic;

/// The whole of HTTP for one listener; cheap to clone.
#[derive(Clone)]
pub struct Front {
    router: Router,
    app: AppState,
    only_metrics: bool,
}

impl Front {
    pub fn new(services: Services) -> Self {
        let app = App::new(services);
        let router = super::routes::all(Router::new());
        Self { router: router.with_state(app.clone()), app, only_metrics: false }
    }

    /// The same for a listener that serves `/metrics` and nothing else.
    #[must_use]
    pub fn only_metrics(&self) -> Self {
        Self { only_metrics: true, ..self.clone() }
    }

    pub fn app(&self) -> &AppState {
        &self.app
    }

    /// Answers one request. Never fails and never panics.
    pub async fn answer(&self, peer: Peer, mut request: Request<Body>) -> Response {
        let clock = &self.app.services.clock;
        let started = clock.monotonic();
        let address = request.uri().clone();
        let instance = &*shown(address.path());
        let origin = request.headers().get(ORIGIN).cloned();
        let trace_parent = request.headers().get("traceparent").cloned();
        let mut response = match self.admit(peer, &request) {
            Err(problem) => problem.into_response(),
            Ok(Some(response)) => response,
            Ok(None) => {
                request.extensions_mut().insert(peer);
                self.route(request, instance).await
            }
        };
        if response.status().is_client_error() || response.status().is_server_error() {
            response = self.explain(response, instance, trace_parent.as_ref());
        }
        self.finish(&mut response, origin);
        let ended = clock.monotonic();
        let failed = response.status().is_server_error();
        self.app.counters.record(Monotonic(ended.since(self.app.started)), ended.since(started), failed);
        response
    }

    /// Whether the request may reach a handler; `Some` when it is answered already.
    fn admit(&self, peer: Peer, request: &Request<Body>) -> Result<Option<Response>, Problem> {
        let path = request.uri().path();
        if self.only_metrics && path != "/metrics" {
            return Err(Problem::not_found("this listener serves /metrics only"));
        }
        let config = self.app.config.borrow();
        let host = host_of(request)?;
        if let Some(host) = host {
            let view = self.app.services.host.borrow();
            if !hosts::is_ours(host, peer, &view.identity.hostname, &config) {
                let detail = format!("`{}` is not a name of this agent", host.escape_default());
                return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail)
                    .hint("add the name to `auth.allowed_hosts` (allowed_hosts in section [auth])"));
            }
        }
        if let Some(origin) = request.headers().get(ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if !hosts::may_call(origin, host.unwrap_or_default(), &config) {
                let detail = "pages of another origin may not call this agent";
                return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail)
                    .hint("origins in `http.cors` may"));
            }
            if request.method() == Method::OPTIONS
                && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            {
                return Ok(Some(preflight()));
            }
        }
        let listed = |origin: &HeaderValue| hosts::is_listed(origin.to_str().unwrap_or_default(), &config);
        if is_of_other_site(request) && !request.headers().get(ORIGIN).is_some_and(listed) {
            let detail = "pages of another site may not ask this agent, only lead to its page";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_site", detail)
                .hint("origins in `http.cors` may"));
        }
        drop(config);
        if !matches!(path, "/livez" | "/readyz") && !is_page(path) {
            self.app.store()?;
        }
        Ok(None)
    }

    async fn route(&self, request: Request<Body>, instance: &str) -> Response {
        let answered = AssertUnwindSafe(self.router.clone().call(request)).catch_unwind().await;
        match answered {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                tracing::error!(path = instance, panic = %text, "a handler panicked");
                Problem::internal().into_response()
            }
        }
    }

    /// Gives an error its body, whoever made it.
    fn explain(&self, mut response: Response, instance: &str, parent: Option<&HeaderValue>) -> Response {
        let problem = match response.extensions_mut().remove::<Box<Problem>>() {
            Some(problem) => *problem,
            None if is_json(response.headers()) => return response,
            None => Problem::of_status(response.status()),
        };
        let trace_id = parent.and_then(trace_id_of).unwrap_or_else(|| self.app.new_trace_id());
        if problem.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%trace_id, path = instance, code = problem.code, "answered with an error");
        }
        match Dialect::of(instance) {
            Some(dialect) => dialect.respond(&problem, response.headers()),
            None => problem.respond(instance, &trace_id, response.headers()),
        }
    }

    fn finish(&self, response: &mut Response, origin: Option<HeaderValue>) {
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        let Some(origin) = origin else { return };
        let listed = origin.to_str().is_ok_and(|origin| hosts::is_listed(origin, &self.app.config.borrow()));
        if listed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}

/// The path as logs and errors may show it: that of a ping is what proves who reports.
fn shown(path: &str) -> Cow<'_, str> {
    let Some(rest) = path.strip_prefix("/ping/") else { return Cow::Borrowed(path) };
    let secret = rest.split('/').next().unwrap_or_default().len();
    Cow::Owned(format!("/ping/{MASK}{}", &rest[secret..]))
}

/// Whether the path is one of the page's own.
fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/dashboard.html" | "/ui") || path.starts_with("/ui/")
}

/// Whether a browser says that a page of another site made the request, other than
/// by leading its user to our page. An image or a script of that page carries no
/// `Origin` and our `Host`: nothing but this header tells where it is from.
fn is_of_other_site(request: &Request<Body>) -> bool {
    let is = |name: &str, word: &str| {
        request
            .headers()
            .get(name)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(word.as_bytes()))
    };
    let other = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    let top_level = is("sec-fetch-mode", "navigate")
        && (is("sec-fetch-dest", "document") || !request.headers().contains_key("sec-fetch-dest"));
    other && !(top_level && request.method() == Method::GET && is_page(request.uri().path()))
}

/// The `Host` of the request; HTTP/1.0 may leave it out, and browsers never do.
fn host_of(request: &Request<Body>) -> Result<Option<&str>, Problem> {
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.as_str()));
    }
    match request.headers().get(HOST) {
        Some(host) => host
            .to_str()
            .map(Some)
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "bad_host", "the Host header is not text")),
        None if request.version() == Version::HTTP_10 => Ok(None),
        None => Err(Problem::new(StatusCode::BAD_REQUEST, "bad_host", "the Host header is missing")),
    }
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let methods = "GET, POST, PUT, PATCH, DELETE";
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    let allowed = "authorization, x-api-key, content-type, if-match, last-event-id";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    response
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

/// The trace id of a W3C `traceparent`.
fn trace_id_of(parent: &HeaderValue) -> Option<String> {
    let id = parent.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// Shared so that a listener's connections do not each hold a router.
pub type SharedFront = Arc<Front>;
