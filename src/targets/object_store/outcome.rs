//! The table from what an S3 server answers to a class.
//!
//! | class | when |
//! |---|---|
//! | hard | refused, reset, timeout, TLS, not HTTP; 5xx |
//! | soft | 429; 503 that asks for less load (SlowDown, or no body to read); any answer with a throttling code |
//! | alive | every other 3xx and 4xx: NoSuchBucket, AccessDenied, RequestTimeTooSkewed, 412, a region to go to; 501 |
//!
//! A 503 without an S3 error in it comes from something before the store, such as
//! a balancer with nobody behind it: that is hard.

use http::StatusCode;

use crate::model::probe::OutcomeClass;
use crate::runtime::http_client::{Answer, HttpError};
use crate::targets::outcome::Outcome;

/// Codes that ask for less load, whatever the status.
const THROTTLING: [&str; 6] = [
    "SlowDown",
    "ServiceUnavailable",
    "TooManyRequests",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
];

pub fn of_error(error: &HttpError) -> Outcome {
    Outcome::network(error.failure(), error.to_string())
}

/// The outcome of an answer that is not the one that was hoped for. `with_body`
/// is false for HEAD, whose errors have none.
pub fn of_answer(answer: &Answer, with_body: bool) -> Outcome {
    let body = String::from_utf8_lossy(&answer.body);
    let code = text_of(&body, "Code").filter(|code| is_code(code));
    let class = class_of(answer.status, code, with_body);
    let message = text_of(&body, "Message").unwrap_or_default();
    let detail = format!("HTTP {} {message}", answer.status.as_u16());
    let word = code.map_or_else(|| format!("http_{}", answer.status.as_u16()), str::to_owned);
    Outcome::new(class, word, detail.trim_end())
}

fn class_of(status: StatusCode, code: Option<&str>, with_body: bool) -> OutcomeClass {
    if status == StatusCode::TOO_MANY_REQUESTS || code.is_some_and(|code| THROTTLING.contains(&code)) {
        return OutcomeClass::Soft;
    }
    match status.as_u16() {
        503 if !with_body => OutcomeClass::Soft,
        501 => OutcomeClass::Alive,
        500.. => OutcomeClass::Hard,
        300..=499 => OutcomeClass::Alive,
        // A success that S3 does not answer here: something else listens.
        _ => OutcomeClass::Hard,
    }
}

/// The text of the first element `name`. Enough for the two flat documents that
/// are read (an error and a listing of our own keys, which need no escapes).
pub fn text_of<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    elements(document, name).next()
}

/// The texts of all elements `name`.
pub fn elements<'a>(document: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = document;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, after) = after.split_once(&close)?;
        rest = after;
        Some(text)
    })
}

/// S3 codes are words: nothing else becomes a label.
fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, body: &str, with_body: bool) -> (OutcomeClass, String) {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        };
        let outcome = of_answer(&answer, with_body);
        (outcome.class, outcome.code)
    }

    fn error(code: &str) -> String {
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>")
    }

    #[test]
    fn the_answers_that_were_agreed_have_their_classes() {
        use OutcomeClass::{Alive, Hard, Soft};
        for (status, code, class) in [
            (404, "NoSuchBucket", Alive),
            (403, "AccessDenied", Alive),
            (403, "RequestTimeTooSkewed", Alive),
            (412, "PreconditionFailed", Alive),
            (301, "PermanentRedirect", Alive),
            (501, "NotImplemented", Alive),
            (503, "SlowDown", Soft),
            (429, "TooManyRequests", Soft),
            (400, "RequestLimitExceeded", Soft),
            (500, "InternalError", Hard),
        ] {
            assert_eq!(outcome(status, &error(code), true), (class, code.to_owned()));
        }
        assert_eq!(outcome(503, "<html>no backend</html>", true), (Hard, String::from("http_503")));
        assert_eq!(outcome(503, "", false).0, Soft);
        assert_eq!(outcome(502, "", false).0, Hard);
        assert_eq!(outcome(200, "hello", true).0, Hard);
    }

    #[test]
    fn what_a_server_calls_a_code_is_not_trusted() {
        let long = error(&"x".repeat(1000));
        assert_eq!(outcome(400, &long, true).1, "http_400");
        assert_eq!(outcome(400, "<Code>a b\n</Code>", true).1, "http_400");
        assert_eq!(outcome(400, "<Code>never closed", true).1, "http_400");
    }
}
