//! Errors in the shapes that other systems' clients read.
//!
//! A path below a compatibility prefix speaks that system's protocol, its errors too,
//! whoever makes them: the handler, the extractors, the router or the front. So handlers
//! there return a [`Problem`] as all do, and the front asks here how it is written. One
//! would get it wrong in the handlers: a missing token would still be told in a shape that
//! `promtool` and `amtool` show as `{}`.

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::error::Problem;

/// Whose protocol a path speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    Prometheus,
    Alertmanager,
}

/// An error of Prometheus' HTTP API.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PrometheusError<'a> {
    /// `error`
    status: &'static str,
    /// `bad_data`, `execution`, `timeout`, `unavailable`, `not_found`, `internal`; of those
    /// that Prometheus does not have: `unauthorized`, `forbidden`, `too_many_requests`.
    #[serde(rename = "errorType")]
    #[schema(value_type = String)]
    kind: &'a str,
    #[schema(value_type = String)]
    error: &'a str,
}

/// An error of Alertmanager's API: its text.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(value_type = String)]
pub struct AlertmanagerError<'a>(&'a str);

impl Dialect {
    /// `None`: our own.
    pub fn of(path: &str) -> Option<Self> {
        if path.starts_with("/prometheus/") {
            Some(Self::Prometheus)
        } else if path.starts_with("/alertmanager/") {
            Some(Self::Alertmanager)
        } else {
            None
        }
    }

    /// Name of the error's schema.
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Prometheus => "PrometheusError",
            Self::Alertmanager => "AlertmanagerError",
        }
    }

    /// The whole answer. `before` is that of the answer this one replaces.
    pub fn respond(self, problem: &Problem, before: &HeaderMap) -> Response {
        let text = match &problem.hint {
            Some(hint) => format!("{}: {hint}", problem.detail),
            None => problem.detail.clone(),
        };
        let (status, body) = match self {
            Self::Prometheus => {
                let kind = prometheus_kind(problem);
                let body = PrometheusError { status: "error", kind, error: &text };
                (problem.status, serde_json::to_vec(&body))
            }
            Self::Alertmanager => {
                (alertmanager_status(problem.status), serde_json::to_vec(&AlertmanagerError(&text)))
            }
        };
        // A text always has a form in JSON.
        let mut response = (status, body.unwrap_or_default()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        problem.tell_headers(response.headers_mut(), before);
        response
    }
}

/// The `errorType`: the code where a handler chose one of Prometheus', else by the status.
fn prometheus_kind(problem: &Problem) -> &'static str {
    const OWN: [&str; 6] = ["bad_data", "execution", "timeout", "unavailable", "not_found", "internal"];
    if OWN.contains(&problem.code) {
        return problem.code;
    }
    match problem.status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::UNPROCESSABLE_ENTITY => "execution",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_server_error() => "internal",
        _ => "bad_data",
    }
}

/// Clients of Alertmanager show the text of 400, 404 and 500 alone.
pub fn alertmanager_status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status if status.is_server_error() => StatusCode::INTERNAL_SERVER_ERROR,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_errors_of_its_protocol() {
        assert_eq!(Dialect::of("/prometheus/api/v1/query"), Some(Dialect::Prometheus));
        assert_eq!(Dialect::of("/alertmanager/api/v2/none"), Some(Dialect::Alertmanager));
        for own in ["/api/v1/query", "/prometheusx/", "/"] {
            assert_eq!(Dialect::of(own), None, "{own}");
        }
    }

    #[test]
    fn what_a_handler_chose_stands_and_the_rest_goes_by_its_status() {
        for (status, code, kind) in [
            (400, "bad_data", "bad_data"),
            (503, "timeout", "timeout"),
            (401, "bad_token", "unauthorized"),
            (403, "foreign_origin", "forbidden"),
            (405, "method_not_allowed", "bad_data"),
            (422, "query_too_large", "execution"),
            (503, "store_unavailable", "unavailable"),
            (507, "disk_full", "internal"),
        ] {
            let problem = Problem::new(StatusCode::from_u16(status).unwrap(), code, "");
            assert_eq!(prometheus_kind(&problem), kind, "{status} {code}");
        }
    }
}
