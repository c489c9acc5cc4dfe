//! The table from what a Redis server says to a class.
//!
//! | class | when |
//! |---|---|
//! | hard | refused, reset, timeout, TLS, not Redis; `CLUSTERDOWN` |
//! | soft | the limit of clients is reached, `OOM`, `BUSY` (a script runs); `MISCONF`, `MASTERDOWN`, `NOREPLICAS` |
//! | recovering | `LOADING` (reading its file at the start) |
//! | alive | every other error: the server answered; `NOAUTH`, `WRONGPASS`, `NOPERM`, `DENIED` are our configuration |
//!
//! `MISCONF` (the last save failed, so writes are refused) and `MASTERDOWN` (a replica
//! without its master, so reads are refused) are soft: half of the work is still done,
//! so a few of them in a row must not cut the server off, and a breaker that counts
//! shares may. They are no matter of our configuration, so they are not alive.

use std::io;

use crate::model::probe::OutcomeClass;
use crate::runtime::network_failure::NetworkFailure;
use crate::targets::door;
use crate::targets::outcome::Outcome;

/// The class of an error that the server answered.
pub fn of_error(text: &str) -> Outcome {
    let word = text.split(' ').next().unwrap_or_default();
    if text.starts_with("ERR max number of clients") {
        return Outcome::new(OutcomeClass::Soft, "maxclients", text);
    }
    let class = match word {
        "CLUSTERDOWN" => OutcomeClass::Hard,
        "OOM" | "BUSY" | "MISCONF" | "MASTERDOWN" | "NOREPLICAS" => OutcomeClass::Soft,
        "LOADING" => OutcomeClass::Recovering,
        _ => OutcomeClass::Alive,
    };
    let code = if is_code(word) { word } else { "error" };
    Outcome::new(class, code, text)
}

/// The refusal of a login. A server that has no `AUTH` repeats what was said to it,
/// so its own text is not kept.
pub fn without_echo(outcome: Outcome) -> Outcome {
    if outcome.class == OutcomeClass::Hard {
        return outcome;
    }
    let detail = format!("the login was answered with {}", outcome.code);
    Outcome { detail, ..outcome }
}

pub fn of_io(error: &io::Error) -> Outcome {
    door::of_io(error, NetworkFailure::Io)
}

/// An answer that the command does not have.
pub fn unexpected(command: &str) -> Outcome {
    Outcome::network(NetworkFailure::Protocol, format!("the answer to {command} is not one of Redis"))
}

/// Redis' codes are words in capitals: nothing else becomes a code.
fn is_code(word: &str) -> bool {
    (1..=32).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_repeated_is_not_kept() {
        let told = of_error("ERR unknown command 'AUTH', with args beginning with: 'geheim'");
        let kept = without_echo(told);
        assert_eq!((kept.class, kept.code.as_str()), (OutcomeClass::Alive, "ERR"));
        assert!(!kept.detail.contains("geheim"));
    }

    #[test]
    fn the_errors_that_were_agreed_have_their_classes() {
        use OutcomeClass::{Alive, Hard, Recovering, Soft};
        for (text, class, code) in [
            ("NOAUTH Authentication required.", Alive, "NOAUTH"),
            ("WRONGPASS invalid username-password pair or user is disabled.", Alive, "WRONGPASS"),
            ("NOPERM this user has no permissions to run the 'info' command", Alive, "NOPERM"),
            ("DENIED Redis is running in protected mode", Alive, "DENIED"),
            ("ERR DB index is out of range", Alive, "ERR"),
            ("ERR max number of clients reached", Soft, "maxclients"),
            ("MISCONF Redis is configured to save RDB snapshots", Soft, "MISCONF"),
            ("MASTERDOWN Link with MASTER is down", Soft, "MASTERDOWN"),
            ("BUSY Redis is busy running a script.", Soft, "BUSY"),
            ("LOADING Redis is loading the dataset in memory", Recovering, "LOADING"),
            ("CLUSTERDOWN The cluster is down", Hard, "CLUSTERDOWN"),
            ("no such word", Alive, "error"),
            ("", Alive, "error"),
        ] {
            let outcome = of_error(text);
            assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{text}");
        }
    }
}
