//! Every error as one shape: RFC 9457 `application/problem+json`.
//!
//! The pattern: a handler returns a [`Problem`], which travels as an extension of
//! an empty response; the front fills in what only it knows (the path, the trace
//! id) and writes the body. So axum's own refusals, panics and ours look alike.
//! Wrong would be to put an error's `Debug` or a stack into `detail`: answers are
//! read by strangers.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::StoreError;

/// One thing that is wrong with the request's body or parameters.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body, or the parameter's name.
    pub pointer: String,
    pub detail: String,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// What to do about it, e.g. the setting to change.
    pub hint: Option<String>,
    /// Seconds until another try may succeed.
    pub retry_after: Option<u64>,
    /// The limit that was reached; boxed, because every handler carries room for it.
    pub limit: Option<Box<Limit>>,
}

/// How much may be asked in which time; shown in the fields of
/// draft-ietf-httpapi-ratelimit-headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub name: &'static str,
    pub quota: usize,
    pub window_seconds: u64,
}

impl Limit {
    /// Says what is left, and in how many seconds it is whole again.
    pub fn tell(&self, headers: &mut HeaderMap, left: u32, reset: u64) {
        let Self { name, quota, window_seconds } = self;
        let fields = [
            ("ratelimit-policy", format!("\"{name}\";q={quota};w={window_seconds}")),
            ("ratelimit", format!("\"{name}\";r={left};t={reset}")),
        ];
        for (field, value) in fields {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(field, value);
            }
        }
    }
}

/// What the caller reads.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:holdfast:problem:<code>`
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    /// The HTTP status.
    status: u16,
    detail: &'a str,
    /// Path of the request.
    instance: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// Stands in the log beside what went wrong.
    trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (errors, detail) = (Vec::new(), detail.into());
        Self { status, code, detail, errors, hint: None, retry_after: None, limit: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(Box::new(limit));
        self
    }

    /// 400 for one parameter or member.
    pub fn bad_parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("`{name}`: {detail}")).field(name, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 500; the reason stands in the log under the trace id.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the agent failed to answer; its log says why",
        )
    }

    /// For an answer that someone else made without a body.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "this path does not take the method; `Allow` names those it takes")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is larger than this path takes"),
            StatusCode::UPGRADE_REQUIRED => ("upgrade_required", "this path speaks WebSocket"),
            status if status.is_server_error() => return Self { status, ..Self::internal() },
            _ => ("bad_request", "the request cannot be understood"),
        };
        Self::new(status, code, detail)
    }

    /// The whole answer. `allow` is kept from the answer this one replaces.
    pub fn respond(&self, instance: &str, trace_id: &str, before: &HeaderMap) -> Response {
        let body = ProblemBody {
            kind: format!("urn:holdfast:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            code: self.code,
            errors: &self.errors,
            trace_id,
            hint: self.hint.as_deref(),
        };
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.tell_headers(headers, before);
        response
    }

    /// The headers of the answer beside its type. `allow` is kept from the answer that it
    /// replaces.
    pub fn tell_headers(&self, headers: &mut HeaderMap, before: &HeaderMap) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(limit) = &self.limit {
            limit.tell(headers, 0, self.retry_after.unwrap_or(limit.window_seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"holdfast\""));
        }
        if let Some(allow) = before.get(ALLOW) {
            headers.insert(ALLOW, allow.clone());
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Box::new(self));
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::TooManySeries { .. }
            | StoreError::TooManyPoints { .. }
            | StoreError::TooManySamples { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", detail)
                    .hint("narrow the selector, shorten the range or widen the step")
            }
            StoreError::BadMatcher { .. } => Self::new(StatusCode::BAD_REQUEST, "bad_matcher", detail),
            StoreError::DiskFull => Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", detail),
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after(5),
        }
    }
}
