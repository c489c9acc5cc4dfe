//! Writes what the head holds, every flush interval.
//!
//! The flush carries everything that can wait: samples, probe history, the
//! reserved event numbers. A change of the storage profile takes effect at the
//! next interval. When the store is in trouble it heals itself; this task only
//! reports the change once, as a `system` event.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::model::event::EventType;
use crate::runtime::bus::Bus;
use crate::runtime::supervisor::TaskResult;
use crate::store::{Store, StoreCondition};

/// What the task needs; cheap to clone, so that it can be started again.
#[derive(Clone)]
pub struct Flusher {
    pub store: Store,
    pub bus: Bus,
    pub config: watch::Receiver<Arc<Config>>,
}

impl Flusher {
    /// Flushes until `stop`; the last flush is the store's own, when it closes.
    ///
    /// # Errors
    /// None: a failed flush keeps its samples in memory and is tried again.
    pub async fn run(self, stop: CancellationToken) -> TaskResult {
        let mut condition = StoreCondition::Ok;
        loop {
            let interval = self.interval();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(interval) => {}
            }
            if let Err(error) = self.store.flush(self.bus.last()).await {
                tracing::warn!(%error, "flush failed, the samples stay in memory");
            }
            let now = self.store.condition();
            if now != condition {
                self.report(&now);
                condition = now;
            }
        }
    }

    fn interval(&self) -> Duration {
        self.config.borrow().storage.flush_interval()
    }

    fn report(&self, condition: &StoreCondition) {
        let (state, reason) = match condition {
            StoreCondition::Ok => ("ok", String::new()),
            StoreCondition::Reopening(reason) => ("reopening", reason.clone()),
            StoreCondition::DiskFull => ("disk_full", String::from("no space left for samples")),
        };
        tracing::warn!(state, reason, "the condition of the store changed");
        let data = serde_json::json!({ "action": "store", "state": state, "reason": reason });
        self.bus.publish(EventType::System, data);
    }
}
