//! Restarting a unit of this host, for who asked for it and is written down.
//!
//! The pattern: what is on the list may be restarted, the row of the audit log is durable
//! before anything is done, and a second one says how it ended. One would get it wrong by
//! trusting the name that was asked for: it is looked up in the list and never parsed.

use std::time::Duration;

use crate::base::time::Clock;
use crate::config::services::Services;
use crate::model::access::AuditEntry;
use crate::runtime::command::{self, CommandError};
use crate::store::{Change, Store, StoreError};

/// `systemctl restart` waits until the unit is up.
const DEADLINE: Duration = Duration::from_secs(90);
/// What is read of what it says, bytes.
const MAX_OUTPUT: usize = 64 << 10;

/// Why a unit was not restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    #[error("`{0}` is not on the list of units that may be restarted")]
    NotAllowed(String),
    #[error("restarting {unit} failed: {reason}")]
    Failed { unit: String, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Restarts `unit`, asked for by `who`.
///
/// # Errors
/// [`RestartError`]; also what is not allowed is written to the audit log.
pub async fn restart(
    store: &Store,
    clock: &dyn Clock,
    services: &Services,
    unit: &str,
    who: &str,
) -> Result<(), RestartError> {
    let note = async |detail: String| {
        let audit = AuditEntry {
            at: clock.now(),
            who: who.to_owned(),
            action: String::from("service.restart"),
            object: unit.chars().take(255).collect(),
            detail,
        };
        store.commit(Change { writes: Vec::new(), audit: Some(audit) }).await
    };
    let Some(allowed) = services.allow_restart.iter().find(|allowed| *allowed == unit) else {
        note(String::from("refused: not in services.allow_restart")).await?;
        return Err(RestartError::NotAllowed(unit.chars().take(255).collect()));
    };
    note(String::from("asked for")).await?;
    let ended = run(allowed).await;
    let outcome = match &ended {
        Ok(()) => String::from("restarted"),
        Err(reason) => format!("failed: {reason}"),
    };
    tracing::info!(unit = %allowed, who, outcome, "restart of a unit");
    note(outcome).await?;
    ended.map_err(|reason| RestartError::Failed { unit: allowed.clone(), reason })
}

async fn run(unit: &str) -> Result<(), String> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let arguments = ["--no-ask-password", "restart", "--", unit];
    let finished = command::run("systemctl", &arguments, MAX_OUTPUT, deadline).await;
    let finished = finished.map_err(|error: CommandError| error.to_string())?;
    if finished.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&finished.error);
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(first.trim().chars().take(500).collect())
}
