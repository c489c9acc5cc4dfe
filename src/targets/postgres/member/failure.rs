//! The table from what a member said, or did not say, to the classes that the protocol
//! of failover tells apart.
//!
//! | class | when |
//! |---|---|
//! | refused | the port is closed, or the socket is gone |
//! | reset | an end without a word, and one because the postmaster is gone |
//! | unreachable | no TCP connection in time, no route, the kernel gave up |
//! | silent | a TCP connection, and no answer in time |
//! | stopping | 57P01, 57P02; 57P03 whose text says that it shuts down |
//! | recovering | every other 57P03 |
//! | configuration | every other answer; a name that is unknown, TLS, our own files |
//!
//! A backend whose postmaster was killed also says 57P01. It is told apart by the place in
//! the server's source, which is in the message and is not translated: taken for a planned
//! stop it would hold up the failover.

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::model::failover::sighting::{Failure, FailureClass};
use crate::runtime::network_failure::NetworkFailure;
use crate::targets::outcome::Outcome;
use crate::targets::postgres::outcome;
use crate::targets::postgres::session::Unopened;

/// Why there is no new session.
pub fn of_unopened(unopened: Unopened) -> Failure {
    let Unopened { reached, outcome } = unopened;
    of_outcome(outcome, reached)
}

/// Whether there is no new session because the time was too short.
pub fn is_late(unopened: &Unopened) -> bool {
    unopened.outcome.code == NetworkFailure::Timeout.word()
}

/// What `error` says of the member that was asked on an open session.
pub fn of_error(error: &Error) -> Failure {
    match error.as_db_error() {
        Some(said) => of_word(said),
        None => of_outcome(outcome::of(error), false),
    }
}

/// What the end of an idle session says, and the notice before it, if any.
pub fn of_end(ended: &Result<(), Error>, farewell: Option<&DbError>) -> Failure {
    match (farewell, ended) {
        (Some(said), _) => of_word(said),
        (None, Err(error)) => of_error(error),
        (None, Ok(())) => new(FailureClass::Reset, String::from("the connection was closed")),
    }
}

/// The first of two that says more: who announced a stop and then refuses is stopping.
pub fn of_both(before: Option<Failure>, now: Failure) -> Failure {
    let mute = matches!(now.class, FailureClass::Refused | FailureClass::Reset);
    match before {
        Some(before) if before.class == FailureClass::Stopping && mute => before,
        _ => now,
    }
}

pub fn new(class: FailureClass, detail: String) -> Failure {
    Failure { class, detail }
}

fn of_word(said: &DbError) -> Failure {
    let detail = format!("{} {}: {}", said.severity(), said.code().code(), said.message());
    let orphaned = said.routine().is_some_and(|place| matches!(place, "secure_read" | "secure_write"));
    let class = if orphaned { FailureClass::Reset } else { of_state(said.code().code(), said.message()) };
    new(class, Outcome::configuration("", detail).detail)
}

fn of_outcome(outcome: Outcome, reached: bool) -> Failure {
    let Outcome { code, detail, .. } = outcome;
    let is = |failure: NetworkFailure| code == failure.word();
    let class = if is(NetworkFailure::Refused) {
        FailureClass::Refused
    } else if is(NetworkFailure::Reset) {
        FailureClass::Reset
    } else if is(NetworkFailure::Unreachable) {
        FailureClass::Unreachable
    } else if is(NetworkFailure::Timeout) {
        if reached { FailureClass::Silent } else { FailureClass::Unreachable }
    } else {
        of_state(&code, &detail)
    };
    new(class, detail)
}

fn of_state(state: &str, message: &str) -> FailureClass {
    match state {
        "57P01" | "57P02" => FailureClass::Stopping,
        "57P03" if message.contains("shutting down") => FailureClass::Stopping,
        "57P03" => FailureClass::Recovering,
        _ => FailureClass::Configuration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_and_what_did_not_answer_are_two_things() {
        for (outcome, reached, class) in [
            (Outcome::timeout(""), false, FailureClass::Unreachable),
            (Outcome::timeout(""), true, FailureClass::Silent),
            (Outcome::network(NetworkFailure::Refused, ""), false, FailureClass::Refused),
            (Outcome::network(NetworkFailure::Reset, ""), true, FailureClass::Reset),
            (Outcome::network(NetworkFailure::Unreachable, ""), false, FailureClass::Unreachable),
            (Outcome::network(NetworkFailure::Tls, ""), true, FailureClass::Configuration),
            (Outcome::network(NetworkFailure::Dns, ""), false, FailureClass::Configuration),
            (
                Outcome::configuration("57P03", "FATAL: the database system is shutting down"),
                true,
                FailureClass::Stopping,
            ),
            (
                Outcome::configuration("57P03", "FATAL: the database system is starting up"),
                true,
                FailureClass::Recovering,
            ),
            (Outcome::configuration("53300", ""), true, FailureClass::Configuration),
        ] {
            let told = format!("{outcome:?}");
            assert_eq!(of_outcome(outcome, reached).class, class, "{told}");
        }
    }

    #[test]
    fn who_announced_a_stop_and_refuses_is_stopping() {
        let of = |class| new(class, String::new());
        let stopping = || Some(of(FailureClass::Stopping));
        assert_eq!(of_both(stopping(), of(FailureClass::Refused)).class, FailureClass::Stopping);
        assert_eq!(of_both(stopping(), of(FailureClass::Recovering)).class, FailureClass::Recovering);
        assert_eq!(
            of_both(Some(of(FailureClass::Reset)), of(FailureClass::Refused)).class,
            FailureClass::Refused
        );
        assert_eq!(of_both(None, of(FailureClass::Silent)).class, FailureClass::Silent);
    }
}
