//! The table from what a relay says to a class.
//!
//! | class | when |
//! |---|---|
//! | hard | refused, reset, timeout, TLS, not a WebSocket or not a relay; HTTP 5xx; `CLOSED` with `error:` |
//! | soft | `NOTICE` instead of notes; `CLOSED` with `rate-limited:`; HTTP 429, HTTP 503 that says when to come again |
//! | alive | `CLOSED` with `auth-required:`, `restricted:` and every other prefix; `AUTH` and then nothing; other HTTP answers; any failure of `info` |
//!
//! A relay that offers `AUTH` and then serves is well.

use http::header;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::model::probe::OutcomeClass;
use crate::runtime::network_failure::NetworkFailure;
use crate::targets::door;
use crate::targets::outcome::Outcome;

/// Prefixes of NIP-01 and NIP-42.
const PREFIXES: [&str; 8] =
    ["auth-required", "restricted", "rate-limited", "error", "invalid", "blocked", "pow", "unsupported"];

/// The relay ended our subscription.
pub fn of_closed(reason: &str) -> Outcome {
    let prefix = reason.split(':').next().unwrap_or_default();
    let class = match prefix {
        "error" => OutcomeClass::Hard,
        "rate-limited" => OutcomeClass::Soft,
        _ => OutcomeClass::Alive,
    };
    let code = if PREFIXES.contains(&prefix) { prefix } else { "closed" };
    Outcome::new(class, code, format!("the relay ended the subscription: {reason}"))
}

/// The relay said something to people instead of answering.
pub fn of_notice(text: &str) -> Outcome {
    Outcome::new(OutcomeClass::Soft, "notice", format!("the relay says: {text}"))
}

/// The relay wants a login.
pub fn auth(detail: &str) -> Outcome {
    Outcome::configuration("auth-required", detail)
}

/// What listens there is no relay.
pub fn protocol(detail: &str) -> Outcome {
    Outcome::network(NetworkFailure::Protocol, detail)
}

/// The outcome of a WebSocket that was not made, or broke.
pub fn of_error(error: &Error) -> Outcome {
    match error {
        Error::Io(error) => door::of_io(error, NetworkFailure::Io),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Outcome::network(NetworkFailure::Reset, "the relay hung up")
        }
        Error::Http(answer) => {
            let status = answer.status().as_u16();
            let class = match status {
                429 => OutcomeClass::Soft,
                503 if answer.headers().contains_key(header::RETRY_AFTER) => OutcomeClass::Soft,
                500.. => OutcomeClass::Hard,
                200..=299 => return protocol("an answer of HTTP instead of a WebSocket"),
                _ => OutcomeClass::Alive,
            };
            Outcome::new(class, format!("http_{status}"), format!("HTTP {status} instead of a WebSocket"))
        }
        // The others name a rule that was broken, without what was sent.
        error => protocol(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_that_were_agreed_have_their_classes() {
        use OutcomeClass::{Alive, Hard, Soft};
        for (reason, class, code) in [
            ("auth-required: we only serve friends", Alive, "auth-required"),
            ("restricted: not for you", Alive, "restricted"),
            ("rate-limited: slow down", Soft, "rate-limited"),
            ("error: the database is gone", Hard, "error"),
            ("unsupported: too many filters", Alive, "unsupported"),
            ("whatever it is", Alive, "closed"),
            ("", Alive, "closed"),
        ] {
            let outcome = of_closed(reason);
            assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{reason}");
        }
    }
}
