//! Which refusals the document lists for an operation.
//!
//! Most are not the handler's: the front, the extractors and the store refuse alike
//! everywhere, so what an operation takes tells which of them it can answer. A handler
//! declares only what is its own, e.g. `(status = 412)`, without a body: that is always the
//! one of its protocol. Wrong would be one `default` answer for all: a client could not tell
//! what to expect, and no test could find an answer that nobody thought of.

use axum::http::StatusCode;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::dialect::Dialect;

/// Every status of a refusal, and what it says.
const ALL: [(u16, &str); 19] = [
    (400, "The request cannot be understood: a parameter, the body, or a header is not as described."),
    (401, "Who asks is not known: the token or the login is missing, unknown or expired."),
    (403, "Who asks may not do this, or a page of another origin asks."),
    (404, "There is no such thing."),
    (408, "The body did not arrive in time."),
    (409, "What is there does not allow it: it exists already, is in another state, or the file defines it."),
    (412, "It was changed since: read it again."),
    (413, "The body is too large."),
    (414, "The target is too long."),
    (415, "The body is of a type that is not read here."),
    (421, "The Host is not a name of this agent."),
    (422, "The request is understood, and a value in it is refused; `errors` names it."),
    (426, "This path speaks WebSocket."),
    (428, "A change needs `If-Match`."),
    (429, "Asked too often, or too many wrong tokens."),
    (431, "The head of the request is too large."),
    (500, "The agent failed; its log says why."),
    (503, "Not now: the agent is starting, its store is unavailable, or it is busy."),
    (507, "The disk is full."),
];

/// Whatever the path, these come from the front.
const EVERYWHERE: [u16; 6] = [400, 403, 414, 421, 431, 500];
/// Parameters of which every value is either taken or not understood.
const PAGING: [&str; 3] = ["limit", "offset", "cursor"];

/// The answers that operations refer to, by name.
pub fn components() -> Vec<(String, Response)> {
    let dialects = [None, Some(Dialect::Prometheus), Some(Dialect::Alertmanager)];
    let each = dialects.into_iter().flat_map(|dialect| {
        let own = ALL.into_iter().filter(move |(status, _)| told(*status, dialect) == *status);
        own.map(move |(status, words)| (name(status, dialect), answer(status, words, dialect)))
    });
    each.collect()
}

/// Adds what `operation` may refuse with.
pub fn add(operation: &mut Operation, method: &str, path: &str) {
    let dialect = Dialect::of(path);
    let mut statuses = possible(operation, method, path);
    for (key, response) in &mut operation.responses.responses {
        let (Ok(status), RefOr::T(response)) = (key.parse::<u16>(), response) else { continue };
        if status < 400 {
            continue;
        }
        statuses.retain(|one| *one != status);
        if response.content.is_empty() {
            statuses.push(status);
        } else {
            // An answer of its own, beside that of the front.
            let (kind, schema) = body(dialect);
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            response.content.insert(kind.to_owned(), RefOr::T(content));
        }
    }
    for status in statuses {
        let status = told(status, dialect);
        let answer = RefOr::Ref(Ref::from_response_name(name(status, dialect)));
        operation.responses.responses.insert(status.to_string(), answer);
    }
}

fn possible(operation: &Operation, method: &str, path: &str) -> Vec<u16> {
    let mut statuses = EVERYWHERE.to_vec();
    let secured = operation.security.as_ref().is_some_and(|ways| !ways.is_empty());
    let has_body = operation.request_body.is_some();
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let named = |among: &dyn Fn(&Parameter) -> bool| {
        parameters.iter().any(|one| matches!(one, RefOr::T(one) if among(one)))
    };
    let names_one = named(&|one| {
        one.parameter_in == ParameterIn::Path || matches!(one.name.as_str(), "target" | "group")
    });
    let asks = named(&|one| one.parameter_in == ParameterIn::Query && !PAGING.contains(&one.name.as_str()));
    if secured {
        statuses.push(401);
    }
    if names_one || path.starts_with("/admin/") {
        statuses.push(404);
    }
    if has_body {
        statuses.extend([408, 413, 415, 422]);
    }
    if asks {
        statuses.push(422);
    }
    // Asking by POST for want of room in the target changes nothing.
    if method != "get" && Dialect::of(path) != Some(Dialect::Prometheus) {
        statuses.extend([422, 507]);
        if secured {
            statuses.push(409);
        }
    }
    // A probe of liveness is neither counted nor kept waiting.
    if path != "/livez" {
        statuses.extend([429, 503]);
    }
    statuses
}

/// The status as it is written: Alertmanager's clients know few.
fn told(status: u16, dialect: Option<Dialect>) -> u16 {
    match (dialect, StatusCode::from_u16(status)) {
        (Some(Dialect::Alertmanager), Ok(status)) => super::dialect::alertmanager_status(status).as_u16(),
        _ => status,
    }
}

/// Media type and schema of a refusal.
fn body(dialect: Option<Dialect>) -> (&'static str, &'static str) {
    dialect.map_or(("application/problem+json", "Problem"), |one| ("application/json", one.schema()))
}

/// `PrometheusBadRequest`
fn name(status: u16, dialect: Option<Dialect>) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or_default().replace(' ', "");
    dialect.map_or_else(|| reason.clone(), |dialect| format!("{dialect:?}{reason}"))
}

fn answer(status: u16, words: &str, dialect: Option<Dialect>) -> Response {
    let (kind, schema) = body(dialect);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    let mut answer = ResponseBuilder::new().description(words).content(kind, content);
    if matches!(status, 409 | 429 | 500 | 503) {
        let seconds = "Seconds until another try may succeed, where that is known.";
        answer = answer.header("Retry-After", header(Type::Integer, seconds));
    }
    if status == 429 {
        answer = answer
            .header("RateLimit", header(Type::String, "What is left of the limit, and until when."))
            .header("RateLimit-Policy", header(Type::String, "The limit that was reached."));
    }
    if status == 401 {
        answer = answer.header("WWW-Authenticate", header(Type::String, "`Bearer realm=\"holdfast\"`"));
    }
    answer.build()
}

fn header(kind: Type, words: &str) -> Header {
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).description(Some(words)).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_name_and_a_protocol_its_own() {
        let names: Vec<String> = components().into_iter().map(|(name, _)| name).collect();
        for name in ["BadRequest", "URITooLong", "PrometheusServiceUnavailable", "AlertmanagerBadRequest"] {
            assert!(names.iter().any(|one| one == name), "{name} of {names:?}");
        }
        assert!(!names.iter().any(|one| one == "AlertmanagerServiceUnavailable"), "{names:?}");
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }
}
