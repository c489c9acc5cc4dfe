//! The table from what a gRPC server says to a class.
//!
//! | class | when |
//! |---|---|
//! | hard | refused, reset, timeout, TLS, not HTTP/2 or not gRPC; `NOT_SERVING`; UNAVAILABLE (14), INTERNAL (13), DATA_LOSS (15), DEADLINE_EXCEEDED (4), UNKNOWN (2), CANCELLED (1); HTTP 5xx |
//! | soft | RESOURCE_EXHAUSTED (8), a stream refused for load (`REFUSED_STREAM`, `ENHANCE_YOUR_CALM`), HTTP 429 |
//! | recovering | the server says goodbye (`GOAWAY` without an error): it is stopping |
//! | alive | unknown service (5), no health service (12), UNAUTHENTICATED (16), PERMISSION_DENIED (7), every other status; health `UNKNOWN`; other HTTP answers |
//!
//! `NOT_SERVING` is hard: the one whose health is asked says itself that it does not
//! serve. A server without a health service is reachable and speaks gRPC, which is all
//! that can be known of it.

use http::StatusCode;

use super::call::Answer;
use crate::model::probe::OutcomeClass;
use crate::runtime::network_failure::NetworkFailure;
use crate::targets::door;
use crate::targets::outcome::Outcome;

/// What a health check can answer.
pub const SERVING: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// The word of `HealthCheckResponse.status`.
pub fn serving_word(status: u64) -> &'static str {
    usize::try_from(status).ok().and_then(|status| SERVING.get(status)).copied().unwrap_or("UNKNOWN")
}

/// The outcome of a call that was answered.
pub fn of(answer: &Answer) -> Outcome {
    match answer {
        Answer::Http(status) => of_http(*status),
        Answer::Status { code: 0, serving: Some(status), .. } => of_health(*status),
        Answer::Status { code: 0, serving: None, .. } => protocol("the answer is no health"),
        Answer::Status { code, message, .. } => of_status(*code, message),
    }
}

fn of_health(status: u64) -> Outcome {
    let word = serving_word(status);
    let class = match word {
        "SERVING" => return Outcome::ok(),
        "NOT_SERVING" => OutcomeClass::Hard,
        _ => OutcomeClass::Alive,
    };
    Outcome::new(class, word, format!("the server says of its health: {word}"))
}

fn of_status(code: u16, message: &str) -> Outcome {
    let (class, word) = match code {
        1 => (OutcomeClass::Hard, "CANCELLED"),
        2 => (OutcomeClass::Hard, "UNKNOWN"),
        4 => (OutcomeClass::Hard, "DEADLINE_EXCEEDED"),
        5 => (OutcomeClass::Alive, "unknown_service"),
        7 => (OutcomeClass::Alive, "PERMISSION_DENIED"),
        8 => (OutcomeClass::Soft, "RESOURCE_EXHAUSTED"),
        12 => (OutcomeClass::Alive, "no_health_service"),
        13 => (OutcomeClass::Hard, "INTERNAL"),
        14 => (OutcomeClass::Hard, "UNAVAILABLE"),
        15 => (OutcomeClass::Hard, "DATA_LOSS"),
        16 => (OutcomeClass::Alive, "UNAUTHENTICATED"),
        _ => return Outcome::new(OutcomeClass::Alive, format!("status_{code}"), detail(code, message)),
    };
    let explained = match code {
        5 => String::from("reachable, but it does not know the service"),
        12 => String::from("reachable, but it has no health service"),
        _ => detail(code, message),
    };
    Outcome::new(class, word, explained)
}

fn detail(code: u16, message: &str) -> String {
    format!("grpc-status {code} {message}").trim_end().to_owned()
}

fn of_http(status: StatusCode) -> Outcome {
    let class = match status.as_u16() {
        429 => OutcomeClass::Soft,
        200..=299 => return protocol("an answer over HTTP/2 that is not gRPC's"),
        500.. => OutcomeClass::Hard,
        _ => OutcomeClass::Alive,
    };
    let status = status.as_u16();
    Outcome::new(class, format!("http_{status}"), format!("HTTP {status} instead of an answer of gRPC"))
}

/// The outcome of a call that was not answered.
pub fn of_error(error: &h2::Error) -> Outcome {
    if let Some(error) = error.get_io() {
        return door::of_io(error, NetworkFailure::Io);
    }
    let detail = error.to_string();
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => Outcome::new(OutcomeClass::Soft, "REFUSED_STREAM", detail),
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Outcome::new(OutcomeClass::Soft, "ENHANCE_YOUR_CALM", detail),
        Some(h2::Reason::NO_ERROR) if error.is_go_away() => {
            Outcome::new(OutcomeClass::Recovering, "GOAWAY", detail)
        }
        _ => protocol(&detail),
    }
}

/// What listens there does not speak gRPC.
pub fn protocol(detail: &str) -> Outcome {
    Outcome::network(NetworkFailure::Protocol, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_that_were_agreed_have_their_classes() {
        use OutcomeClass::{Alive, Hard, Ok, Soft};
        let status = |code, serving| Answer::Status { code, message: String::from("no"), serving };
        for (answer, class, code) in [
            (status(0, Some(1)), Ok, ""),
            (status(0, Some(2)), Hard, "NOT_SERVING"),
            (status(0, Some(0)), Alive, "UNKNOWN"),
            (status(0, Some(3)), Alive, "SERVICE_UNKNOWN"),
            (status(0, None), Hard, "protocol"),
            // Measured: an unknown service comes with an empty message.
            (status(5, Some(0)), Alive, "unknown_service"),
            (status(12, None), Alive, "no_health_service"),
            (status(14, None), Hard, "UNAVAILABLE"),
            (status(8, None), Soft, "RESOURCE_EXHAUSTED"),
            (status(7, None), Alive, "PERMISSION_DENIED"),
            (status(16, None), Alive, "UNAUTHENTICATED"),
            (status(99, None), Alive, "status_99"),
            (Answer::Http(StatusCode::BAD_GATEWAY), Hard, "http_502"),
            (Answer::Http(StatusCode::TOO_MANY_REQUESTS), Soft, "http_429"),
            (Answer::Http(StatusCode::UNAUTHORIZED), Alive, "http_401"),
            (Answer::Http(StatusCode::OK), Hard, "protocol"),
        ] {
            let outcome = of(&answer);
            assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{answer:?}");
        }
    }
}
