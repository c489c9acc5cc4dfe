//! The table from what a Postgres server says to a class.
//!
//! | class | when |
//! |---|---|
//! | hard | refused, reset, timeout, TLS, not Postgres; 57P01, 57P02 (stopping), 58xxx (I/O), 53100 and 53200 (disk full, out of memory), XXxxx (corruption, bug) |
//! | soft | 53300 and the rest of 53xxx (too many connections), 57014 (our own time limit) |
//! | recovering | 57P03 (starting up, shutting down) |
//! | alive | every other SQLSTATE: the server answered; 28xxx, 3D000, 42xxx are our configuration |

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use crate::model::probe::OutcomeClass;
use crate::runtime::network_failure::{self, NetworkFailure};
use crate::targets::outcome::Outcome;

/// What `error` says about the server.
pub fn of(error: &Error) -> Outcome {
    if let Some(answer) = error.as_db_error() {
        let code = answer.code().code();
        return Outcome::new(of_state(code), code, format!("{}: {}", answer.severity(), answer.message()));
    }
    let detail = network_failure::describe(error);
    if let Some(failure) = network_failure::of(error) {
        return Outcome::network(failure, detail);
    }
    if error.is_closed() {
        return Outcome::network(NetworkFailure::Reset, detail);
    }
    // The library's kinds are private; their texts are part of its releases and
    // the tests against a real server notice a change.
    let text = error.to_string();
    if text.contains("TLS") {
        Outcome::network(NetworkFailure::Tls, detail)
    } else if text.contains("authentication") || text.contains("configuration") {
        Outcome::configuration("authentication", detail)
    } else {
        Outcome::network(NetworkFailure::Protocol, detail)
    }
}

/// The class of a SQLSTATE.
pub fn of_state(state: &str) -> OutcomeClass {
    match state {
        "57P03" => OutcomeClass::Recovering,
        "57P01" | "57P02" | "53100" | "53200" => OutcomeClass::Hard,
        "57014" => OutcomeClass::Soft,
        _ => match state.get(..2) {
            Some("08" | "58" | "XX" | "F0") => OutcomeClass::Hard,
            Some("53") => OutcomeClass::Soft,
            _ => OutcomeClass::Alive,
        },
    }
}

/// Whether the connection is of no more use after `error`.
pub fn ends_connection(error: &Error) -> bool {
    // The parsed severity: the other one is in the language of the server.
    let fatal =
        |answer: &DbError| matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    error.as_db_error().is_none_or(fatal) || error.code().is_some_and(|code| code.code().starts_with("57P"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_that_were_agreed_have_their_classes() {
        for (state, class) in [
            ("XX000", OutcomeClass::Hard),
            ("58030", OutcomeClass::Hard),
            ("57P01", OutcomeClass::Hard),
            ("57P02", OutcomeClass::Hard),
            ("57P03", OutcomeClass::Recovering),
            ("53300", OutcomeClass::Soft),
            ("57014", OutcomeClass::Soft),
            ("28P01", OutcomeClass::Alive),
            ("28000", OutcomeClass::Alive),
            ("3D000", OutcomeClass::Alive),
            ("42501", OutcomeClass::Alive),
            ("", OutcomeClass::Alive),
            ("\u{e4}\u{e4}", OutcomeClass::Alive),
        ] {
            assert_eq!(of_state(state), class, "{state}");
        }
    }
}
