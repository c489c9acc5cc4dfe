//! The table from what systemd says of a unit to a class.
//!
//! | class | when |
//! |---|---|
//! | ok | `active` |
//! | recovering | `activating`, `reloading`, `refreshing`, `maintenance` |
//! | hard | `inactive`, `failed`, `deactivating`, with the result in the code, e.g. `failed/exit-code`; no answer in time |
//! | alive | no such unit, masked, not loaded; no systemctl; this host does not run systemd, or its manager cannot be asked |
//!
//! A unit whose timer or socket starts it is `inactive` between two runs: watch the
//! timer or the socket. `activating/auto-restart` is a service that ended and waits to
//! be started again: recovering as long as systemd tries.

use super::properties::Properties;
use crate::model::probe::OutcomeClass;
use crate::runtime::command::CommandError;
use crate::targets::outcome::Outcome;

/// The states that node_exporter tells of.
pub const STATES: [&str; 5] = ["activating", "active", "deactivating", "failed", "inactive"];

/// The outcome of an answer.
pub fn of(unit: &Properties) -> Outcome {
    let Properties { load, active, sub, result, .. } = unit;
    if active.is_empty() || load.is_empty() {
        return Outcome::configuration("systemctl", "systemctl does not tell the state of the unit");
    }
    if !unit.is_loaded() {
        return Outcome::configuration(load, format!("the unit is not loaded: {load}"));
    }
    let class = match active.as_str() {
        "active" => return Outcome::ok(),
        "activating" | "reloading" | "refreshing" | "maintenance" => OutcomeClass::Recovering,
        _ => OutcomeClass::Hard,
    };
    let code = match result.as_str() {
        "" => active.clone(),
        result => format!("{active}/{result}"),
    };
    Outcome::new(class, code, format!("the unit is {active} ({sub}), its last result is {result}"))
}

/// The outcome of a systemctl that did not end, or not well.
pub fn of_error(error: &CommandError) -> Outcome {
    match error {
        CommandError::Timeout { .. } => Outcome::timeout(error.to_string()),
        _ => Outcome::configuration("systemctl", error.to_string()),
    }
}

/// The outcome of a systemctl that refused, by what it said.
pub fn of_refusal(said: &str) -> Outcome {
    let code = if said.contains("not been booted with systemd") { "not_systemd" } else { "systemctl" };
    let first = said.lines().next().unwrap_or("systemctl refused and did not say why");
    Outcome::configuration(code, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(load: &str, active: &str, sub: &str, result: &str) -> Outcome {
        let text = format!("LoadState={load}\nActiveState={active}\nSubState={sub}\nResult={result}\n");
        of(&Properties::read(&text))
    }

    #[test]
    fn the_states_that_were_agreed_have_their_classes() {
        use OutcomeClass::{Alive, Hard, Ok, Recovering};
        for (outcome, class, code) in [
            (unit("loaded", "active", "running", "success"), Ok, ""),
            (unit("loaded", "active", "exited", "success"), Ok, ""),
            (unit("loaded", "activating", "auto-restart", "exit-code"), Recovering, "activating/exit-code"),
            (unit("loaded", "reloading", "reload", "success"), Recovering, "reloading/success"),
            (unit("loaded", "failed", "failed", "oom-kill"), Hard, "failed/oom-kill"),
            (unit("loaded", "inactive", "dead", "success"), Hard, "inactive/success"),
            (unit("loaded", "deactivating", "stop-sigterm", "timeout"), Hard, "deactivating/timeout"),
            // A target has no result.
            (unit("loaded", "inactive", "dead", ""), Hard, "inactive"),
            (unit("not-found", "inactive", "dead", ""), Alive, "not-found"),
            (unit("masked", "inactive", "dead", ""), Alive, "masked"),
            (unit("loaded", "", "", ""), Alive, "systemctl"),
            (of(&Properties::read("garbage\n=\n\u{0}")), Alive, "systemctl"),
            (
                of_refusal(
                    "System has not been booted with systemd as init system (PID 1). Can't operate.\n",
                ),
                Alive,
                "not_systemd",
            ),
            (of_refusal("Failed to connect to bus: Connection refused"), Alive, "systemctl"),
            (of_refusal(""), Alive, "systemctl"),
        ] {
            assert_eq!((outcome.class, outcome.code.as_str()), (class, code), "{outcome:?}");
        }
    }
}
