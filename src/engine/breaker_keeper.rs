//! Saves every change of every breaker, and then tells of it.
//!
//! ```text
//! breaker changes --> Breakers (watch) --> keeper: one commit --> bus
//! operator --> Keeper::tell: step, one commit with its audit row, bus --> answer
//! ```
//! The pattern: a change is told only after the commit that holds it, so what a
//! listener heard is still so after a crash. While the store cannot be written the
//! breaker itself goes on, because it protects the target whether or not it is saved;
//! the keeper tries again, and tells once it is saved. Wrong would be to answer an
//! operator by what is in memory: a repeated command changes nothing there and may
//! still not be on the disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::base::time::Clock;
use crate::model::access::AuditEntry;
use crate::model::breaker::{BreakerCommand, BreakerTransition, BreakerView, SavedBreaker};
use crate::model::event::EventType;
use crate::runtime::breakers::{Breakers, Changed};
use crate::runtime::bus::Bus;
use crate::runtime::supervisor::TaskResult;
use crate::store::{Change, Store, StoreError, Write};

/// Between two tries to save.
const RETRY: Duration = Duration::from_secs(1);
/// Audit rows that wait for the store at most.
const MOST_OWED: usize = 256;

/// Why a breaker was not told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    #[error("there is no breaker of `{name}`")]
    Unknown { name: String },
    /// It is in force and not saved; it will be, unless the agent ends before.
    #[error("the breaker of `{name}` obeyed and could not be saved yet: {reason}")]
    Unsaved { name: String, reason: StoreError },
}

/// See the module; cheap to clone.
#[derive(Clone)]
pub struct BreakerKeeper {
    clock: Arc<dyn Clock>,
    breakers: Breakers,
    store: Store,
    bus: Bus,
    /// One saving at a time, so that a change is told once.
    saving: Arc<tokio::sync::Mutex<()>>,
    /// Audit rows of commands that are in force and not saved.
    owed: Arc<Mutex<Vec<AuditEntry>>>,
}

impl BreakerKeeper {
    pub fn new(clock: Arc<dyn Clock>, breakers: Breakers, store: Store, bus: Bus) -> Self {
        Self { clock, breakers, store, bus, saving: Arc::default(), owed: Arc::default() }
    }

    /// Saves until `stop`, and once more then.
    pub async fn run(self, stop: CancellationToken) -> TaskResult {
        let mut changes = self.breakers.subscribe();
        loop {
            changes.borrow_and_update();
            let saved = self.save_all().await;
            let pause = async {
                match saved {
                    Ok(()) => drop(changes.changed().await),
                    Err(_) => tokio::time::sleep(RETRY).await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return self.save_all().await.map_err(Into::into),
                () = pause => {}
            }
        }
    }

    /// The breaker of `name` as it is now.
    pub fn view(&self, name: &str) -> Option<BreakerView> {
        self.breakers.get(name).map(|breaker| breaker.view())
    }

    /// Tells the breaker of `name`; durable, with its audit row, when it returns.
    ///
    /// # Errors
    /// [`TellError`].
    pub async fn tell(
        &self,
        name: &str,
        command: BreakerCommand,
        who: &str,
    ) -> Result<BreakerView, TellError> {
        let _one_at_a_time = self.saving.lock().await;
        let breaker = self.breakers.get(name).ok_or_else(|| TellError::Unknown { name: name.to_owned() })?;
        let changed = breaker.tell(command, who);
        // Also what an earlier command changed and could not be saved.
        let Some(unsaved) = breaker.unsaved() else { return Ok(breaker.view()) };
        let transition = unsaved.transitions.last();
        // What the breaker did by itself is nobody's deed.
        let deed = transition.filter(|_| changed);
        let audit = deed.map(|done| AuditEntry {
            at: self.clock.now(),
            who: who.to_owned(),
            action: format!("breaker.{}", word(command)),
            object: name.to_owned(),
            detail: format!("{} -> {}", done.from.word(), done.to.word()),
        });
        let writes = vec![self.put(name, &unsaved.saved)];
        let committed = self.store.commit(Change { writes, audit: audit.clone() }).await;
        if let Err(reason) = committed {
            audit.into_iter().for_each(|audit| self.owe(audit));
            return Err(TellError::Unsaved { name: name.to_owned(), reason });
        }
        breaker.saved(&unsaved);
        unsaved.transitions.iter().for_each(|transition| self.publish(name, transition));
        // A row that an earlier try could not write; if it fails, the keeper goes on.
        let _ = self.pay().await;
        Ok(breaker.view())
    }

    /// Commits what is unsaved, then tells of it.
    async fn save_all(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.saving.lock().await;
        let (changed, gone) = self.breakers.unsaved();
        let puts = changed.iter().map(|changed| self.put(&changed.name, &changed.unsaved.saved));
        let deletes = gone.iter().map(|name| Write::DeleteBreaker { target: name.clone() });
        let writes: Vec<Write> = deletes.chain(puts).collect();
        if !writes.is_empty() {
            let committed = self.store.commit(Change { writes, audit: None }).await;
            if let Err(error) = &committed {
                tracing::warn!(%error, "the breakers could not be saved");
                return committed;
            }
        }
        self.pay().await?;
        self.breakers.deleted(&gone);
        for Changed { name, breaker, unsaved } in &changed {
            breaker.saved(unsaved);
            unsaved.transitions.iter().for_each(|transition| self.publish(name, transition));
        }
        Ok(())
    }

    fn put(&self, name: &str, saved: &SavedBreaker) -> Write {
        let identity = self.breakers.identity(name).unwrap_or_default();
        Write::PutBreaker { target: name.to_owned(), identity, saved: saved.clone() }
    }

    /// Remembers the audit row of a command that is in force and could not be saved.
    fn owe(&self, audit: AuditEntry) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() < MOST_OWED {
            owed.push(audit);
        }
    }

    /// Writes the audit rows that are owed.
    async fn pay(&self) -> Result<(), StoreError> {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        for (paid, audit) in owed.iter().enumerate() {
            let change = Change { writes: Vec::new(), audit: Some(audit.clone()) };
            if let Err(error) = self.store.commit(change).await {
                owed[paid..].iter().for_each(|audit| self.owe(audit.clone()));
                return Err(error);
            }
        }
        Ok(())
    }

    fn publish(&self, name: &str, transition: &BreakerTransition) {
        let BreakerTransition { from, to, reason, by, at } = transition;
        let (from, to, reason) = (from.word(), to.word(), reason.word());
        if transition.to.is_open() {
            tracing::warn!(target_name = name, from, to, reason, "breaker");
        } else {
            tracing::info!(target_name = name, from, to, reason, "breaker");
        }
        let data = json!({
            "name": name, "from": from, "to": to, "reason": reason, "by": by, "at": at.rfc3339(),
        });
        self.bus.publish(EventType::Breaker, data);
    }
}

/// The word of a command in the audit log.
const fn word(command: BreakerCommand) -> &'static str {
    match command {
        BreakerCommand::Reset => "reset",
        BreakerCommand::ForceOpen => "force_open",
        BreakerCommand::Disable => "disable",
        BreakerCommand::MetricsOnly => "metrics_only",
        BreakerCommand::Release => "release",
    }
}
