//! What a failed look or a lost connection says of the server.
//!
//! `57P01` has three authors: an administrator who stops the server or ends sessions,
//! the immediate shutdown, and a backend that finds its postmaster gone. The last is a
//! crash, not a plan. The text is in the server's language, the name of the routine in
//! its source is not.

use tokio_postgres::Error;

use crate::model::failover::sighting::{Failure, FailureClass};
use crate::model::probe::OutcomeClass;
use crate::targets::outcome::Outcome;
use crate::targets::postgres::outcome;
use crate::targets::postgres::session::Ended;

/// Routines that report a postmaster that is gone.
const ORPHANED: [&str; 3] = ["secure_read", "secure_write", "internal_flush"];

/// Of an outcome of connecting; `connected` whether TCP was by then.
pub fn of_outcome(outcome: &Outcome, connected: bool) -> Failure {
    let class = match outcome.code.as_str() {
        "57P01" | "57P02" => FailureClass::Stopping,
        "57P03" => FailureClass::Recovering,
        "refused" => FailureClass::Refused,
        "reset" | "io" => FailureClass::Reset,
        "unreachable" => FailureClass::Unreachable,
        "timeout" if connected => FailureClass::Silent,
        "timeout" => FailureClass::Unreachable,
        _ => FailureClass::Configuration,
    };
    // Anything else that is hard (out of memory, a corrupt catalogue) is an answer too.
    let detail = if outcome.class == OutcomeClass::Alive || outcome.detail.contains(&outcome.code) {
        outcome.detail.clone()
    } else {
        format!("{} ({})", outcome.detail, outcome.code)
    };
    Failure { class, detail }
}

/// Of an error on a connection that was established.
pub fn of_error(error: &Error) -> Failure {
    let orphaned = error.as_db_error().is_some_and(|answer| {
        answer.code().code() == "57P01" && answer.routine().is_some_and(|routine| ORPHANED.contains(&routine))
    });
    if orphaned {
        let detail = String::from("a backend lost its postmaster");
        return Failure { class: FailureClass::Reset, detail };
    }
    of_outcome(&outcome::of(error), true)
}

/// Of the end of the kept connection.
pub fn of_end(ended: Ended) -> Failure {
    if let Some(error) = ended.error.as_ref().filter(|error| error.as_db_error().is_some()) {
        return of_error(error);
    }
    if let Some((code, text)) = ended.last_word {
        let class = if code == "57P03" { FailureClass::Recovering } else { FailureClass::Stopping };
        return Failure { class, detail: text };
    }
    let detail = match ended.error {
        Some(error) => format!("the connection ended: {error}"),
        None => String::from("the connection ended"),
    };
    Failure { class: FailureClass::Reset, detail }
}
