//! Saves every change of every breaker, and then tells of it.
//!
//! ```text
//! breaker changes --> Breakers (watch) --> keeper: one commit --> bus
//! operator --> Keeper::tell: step, one commit with its audit row, bus --> answer
//! ```
//! The pattern: a change is told only after the commit that holds it, so what a
//! listener heard is still so after a crash. While the store cannot be written the
//! breaker itself goes on, because it protects the target whether or not it is saved;
//! the keeper tries again and tells meanwhile, because silence would be worse.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::base::time::Clock;
use crate::model::access::AuditEntry;
use crate::model::breaker::{BreakerCommand, BreakerTransition, BreakerView};
use crate::model::event::EventType;
use crate::runtime::breakers::{Breakers, Changed};
use crate::runtime::bus::Bus;
use crate::runtime::supervisor::TaskResult;
use crate::store::{Change, Store, StoreError, Write};

/// Between two tries to save.
const RETRY: Duration = Duration::from_secs(1);

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
}

impl BreakerKeeper {
    pub fn new(clock: Arc<dyn Clock>, breakers: Breakers, store: Store, bus: Bus) -> Self {
        Self { clock, breakers, store, bus, saving: Arc::default() }
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
        if !breaker.tell(command, who) {
            return Ok(breaker.view());
        }
        let Some(unsaved) = breaker.unsaved() else { return Ok(breaker.view()) };
        let transition = unsaved.transitions.last();
        let detail = transition.map(|done| format!("{} -> {}", done.from.word(), done.to.word()));
        let audit = AuditEntry {
            at: self.clock.now(),
            who: who.to_owned(),
            action: format!("breaker.{}", word(command)),
            object: name.to_owned(),
            detail: detail.unwrap_or_default(),
        };
        let writes = vec![Write::PutBreaker { target: name.to_owned(), saved: unsaved.saved.clone() }];
        let committed = self.store.commit(Change { writes, audit: Some(audit) }).await;
        committed.map_err(|reason| TellError::Unsaved { name: name.to_owned(), reason })?;
        breaker.saved(&unsaved);
        unsaved.transitions.iter().for_each(|transition| self.publish(name, transition));
        Ok(breaker.view())
    }

    /// Commits what is unsaved, then tells of it.
    async fn save_all(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.saving.lock().await;
        let (changed, gone) = self.breakers.unsaved();
        let puts = changed.iter().map(|changed| Write::PutBreaker {
            target: changed.name.clone(),
            saved: changed.unsaved.saved.clone(),
        });
        let deletes = gone.iter().map(|name| Write::DeleteBreaker { target: name.clone() });
        let writes: Vec<Write> = puts.chain(deletes).collect();
        if writes.is_empty() {
            return Ok(());
        }
        let committed = self.store.commit(Change { writes, audit: None }).await;
        if let Err(error) = &committed {
            tracing::warn!(%error, "the breakers could not be saved");
            return committed;
        }
        self.breakers.deleted(&gone);
        for Changed { name, breaker, unsaved } in &changed {
            breaker.saved(unsaved);
            unsaved.transitions.iter().for_each(|transition| self.publish(name, transition));
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
