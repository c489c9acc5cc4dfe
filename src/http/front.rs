//! What every request passes before and after its handler.
//!
//! One plain function instead of a stack of layers: each layer would box a future
//! and clone a service per request, and `/health` is asked thousands of times a
//! second. Before: the head is neither too large nor ambiguous, the host is ours, the origin
//! may, the client does not ask too often, the store is open. After: errors get their body,
//! answers their headers, the counters their figures.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST,
    LOCATION, ORIGIN, REFERRER_POLICY, TRANSFER_ENCODING, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tower::Service as _;
use tracing::Instrument as _;

use super::auth::hosts;
use super::auth::peer::{self, Peer};
use super::dialect::Dialect;
use super::error::Problem;
use super::head_guard::Ambiguous;
use super::rate::Quota;
use super::state::{App, AppState, Services};
use crate::base::secret::MASK;
use crate::base::time::Monotonic;
use crate::engine::memory_keeper::Shrinks;
use crate::runtime::cpu::{CpuMeter, Metered};
use crate::runtime::supervisor::UNLISTED;

/// Says which request it was, in the answer, in the log and in errors.
const REQUEST_ID: &str = "x-request-id";
/// So many parts of a path tell requests apart in a profile.
const PROFILED_DEPTH: usize = 4;
/// Longer ids of clients are not taken up.
const LONGEST_ID: usize = 64;

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

    /// What is held in memory and can be given back.
    pub fn caches(&self) -> Vec<Arc<dyn Shrinks>> {
        super::spare::caches(&self.app)
    }

    /// Answers one request. Never fails and never panics.
    pub async fn answer(&self, peer: Peer, mut request: Request<Body>) -> Response {
        let clock = &self.app.services.clock;
        let started = clock.monotonic();
        let address = request.uri().clone();
        let instance = &*shown(address.path());
        let origin = request.headers().get(ORIGIN).cloned();
        let quota = self.quota(peer, &request);
        // What comes behind chunks is not looked at, see the guard; so nothing does.
        let last = request.headers().contains_key(TRANSFER_ENCODING) || is_ambiguous(&request);
        let id = id_of(request.headers()).unwrap_or_else(|| self.app.new_trace_id());
        let method = request.method().clone();
        // What a handler writes to the log carries the id of its request.
        let span = tracing::error_span!("request", request_id = %id);
        let mut response = match self.admit(peer, &request, quota) {
            Err(problem) => problem.into_response(),
            Ok(Some(response)) => response,
            Ok(None) => {
                request.extensions_mut().insert(peer);
                let answering = self.route(request, instance).instrument(span.clone());
                match self.part(&method, instance) {
                    Some((meter, part)) => {
                        Metered::new(answering, meter, Arc::from(UNLISTED), Some(part)).await
                    }
                    None => answering.await,
                }
            }
        };
        if response.status().is_client_error() || response.status().is_server_error() {
            response = span.in_scope(|| self.explain(response, instance, &id));
        }
        self.finish(&mut response, origin, quota, &id);
        if last {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let ended = clock.monotonic();
        span.in_scope(|| {
            let (status, took_ms) = (response.status().as_u16(), ended.since(started).as_secs_f64() * 1000.0);
            tracing::debug!(%method, path = instance, status, took_ms, "answered");
        });
        let failed = response.status().is_server_error();
        self.app.counters.record(Monotonic(ended.since(self.app.started)), ended.since(started), failed);
        response
    }

    /// What a request is called in a profile; `None` while none is taken.
    fn part(&self, method: &Method, instance: &str) -> Option<(CpuMeter, String)> {
        let meter = self.app.services.supervisor.meter();
        // Names and ids stand behind the first few parts of a path.
        let end = instance.match_indices('/').nth(PROFILED_DEPTH).map_or(instance.len(), |(at, _)| at);
        meter.is_on().then(|| (meter, format!("{method} {}", &instance[..end])))
    }

    /// What is left to the client, where it is counted.
    fn quota(&self, peer: Peer, request: &Request<Body>) -> Option<Quota> {
        let (client, most) = {
            let config = self.app.config.borrow();
            let client = peer::client_of(peer, request.headers(), &config.http.trusted_proxies);
            (client, config.http.rate_limit)
        };
        let now = self.app.services.clock.monotonic();
        self.app.rates.count(&client, request.uri().path(), most, now)
    }

    /// Whether the request may reach a handler; `Some` when it is answered already.
    fn admit(
        &self,
        peer: Peer,
        request: &Request<Body>,
        quota: Option<Quota>,
    ) -> Result<Option<Response>, Problem> {
        let path = request.uri().path();
        check_head(request)?;
        if self.only_metrics && path != "/metrics" {
            return Err(Problem::not_found("this listener serves /metrics only"));
        }
        let config = self.app.config.borrow();
        if !config.admin.enabled && path.starts_with("/admin/") {
            return Err(
                Problem::not_found("administration is switched off").hint("set `admin.enabled` to true")
            );
        }
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
        if let Some(redirect) = must_encrypt(peer, request, host, config.tls.is_on())? {
            return Ok(Some(redirect));
        }
        let listed = |origin: &HeaderValue| hosts::is_listed(origin.to_str().unwrap_or_default(), &config);
        if is_of_other_site(request) && !request.headers().get(ORIGIN).is_some_and(listed) {
            let detail = "pages of another site may not ask this agent, only lead to its page";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_site", detail)
                .hint("origins in `http.cors` may"));
        }
        drop(config);
        if let Some(quota) = quota.filter(|quota| quota.exceeded) {
            let detail = format!("more than {} requests within a minute", quota.limit.quota);
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
                .retry_after(quota.reset)
                .limit(quota.limit)
                .hint("the setting is `http.rate_limit`"));
        }
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
    fn explain(&self, mut response: Response, instance: &str, trace_id: &str) -> Response {
        let problem = match response.extensions_mut().remove::<Box<Problem>>() {
            Some(problem) => *problem,
            None if is_json(response.headers()) => return response,
            None => Problem::of_status(response.status()),
        };
        if problem.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(path = instance, code = problem.code, "answered with an error");
        }
        match Dialect::of(instance) {
            Some(dialect) => dialect.respond(&problem, response.headers()),
            None => problem.respond(instance, trace_id, response.headers()),
        }
    }

    fn finish(&self, response: &mut Response, origin: Option<HeaderValue>, quota: Option<Quota>, id: &str) {
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // What the page says of itself stands.
        for (name, value) in USUAL {
            headers.entry(name).or_insert(value);
        }
        if let Some(Quota { limit, left, reset, .. }) = quota
            && !headers.contains_key("ratelimit")
        {
            limit.tell(headers, left, reset);
        }
        let Some(origin) = origin else { return };
        let listed = origin.to_str().is_ok_and(|origin| hosts::is_listed(origin, &self.app.config.borrow()));
        if listed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}

/// On every answer that says nothing else. There is no `Strict-Transport-Security`: it would
/// hold for every port of this host, where other programs may have no TLS.
const USUAL: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];
/// Bytes of a request's target, and of all its headers together.
const LONGEST_TARGET: usize = 16 * 1024;
const LONGEST_HEADERS: usize = 32 * 1024;

fn is_ambiguous(request: &Request<Body>) -> bool {
    request.extensions().get::<Ambiguous>().is_some()
}

/// Whether the head is one that is looked at at all.
fn check_head(request: &Request<Body>) -> Result<(), Problem> {
    if is_ambiguous(request) {
        let detail = "the request says in two ways where its body ends";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "ambiguous_length", detail)
            .hint("send either Content-Length or Transfer-Encoding, once"));
    }
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, str::len);
    if target > LONGEST_TARGET {
        let detail = format!("the target has more than {LONGEST_TARGET} bytes");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    if headers.sum::<usize>() > LONGEST_HEADERS {
        let detail = format!("the headers have more than {LONGEST_HEADERS} bytes together");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, "headers_too_large", detail));
    }
    Ok(())
}

/// Where TLS is on, what comes from elsewhere must use it: a browser is led there, and a
/// program is told, before it sends more.
fn must_encrypt(
    peer: Peer,
    request: &Request<Body>,
    host: Option<&str>,
    is_on: bool,
) -> Result<Option<Response>, Problem> {
    let Peer::Tcp { remote, tls: false, .. } = peer else { return Ok(None) };
    if !is_on || remote.ip().to_canonical().is_loopback() {
        return Ok(None);
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    if let (Some(host), true) = (host, is_page(request.uri().path()) && request.method() == Method::GET)
        && let Ok(place) = HeaderValue::from_str(&format!("https://{host}{target}"))
    {
        let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
        response.headers_mut().insert(LOCATION, place);
        return Ok(Some(response));
    }
    let detail = "this address is for TLS";
    Err(Problem::new(StatusCode::FORBIDDEN, "tls_required", detail).hint("use https:// instead of http://"))
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

/// The id that the client gave its request: of its trace, or by itself.
fn id_of(headers: &HeaderMap) -> Option<String> {
    if let Some(id) = headers.get("traceparent").and_then(trace_id_of) {
        return Some(id);
    }
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(plain)).then(|| id.to_owned())
}

/// The trace id of a W3C `traceparent`.
fn trace_id_of(parent: &HeaderValue) -> Option<String> {
    let id = parent.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// Shared so that a listener's connections do not each hold a router.
pub type SharedFront = Arc<Front>;
