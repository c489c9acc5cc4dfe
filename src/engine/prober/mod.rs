//! Keeps one worker per configured target and shows what they found.
//!
//! ```text
//! watch<Config> --> reconcile --> worker (one per target) --> Keeper (store)
//!                                    ^          |
//!                       probe_now ---+          +--> Board --> watch<statuses>, bus
//! ```
//! The pattern: the wanted workers are computed from the configuration, and only
//! the difference to the running ones is acted on, so that changing one target does
//! not disturb another. A worker that was replaced may still finish a probe: the
//! board knows each worker by a number and ignores one that is no longer current.

mod board;
mod breaker_series;
mod history;
mod schedule;
mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use self::board::Board;
use crate::base::time::Timestamp;
use crate::config::Config;
use crate::model::frame::Frame;
use crate::model::probe::ProbeRecord;
use crate::model::target::TargetStatus;
use crate::runtime::breakers::Breakers;
use crate::runtime::bus::Bus;
use crate::runtime::supervisor::{Phase, Policy, Supervisor, TaskResult};
use crate::store::Store;
use crate::targets::{self, Plan, Probed, Surroundings};

/// Where finished probes go. The store in the agent; a list in tests.
pub trait Keeper: Send + Sync + 'static {
    /// Takes a probe of the source `stream` (`postgres/pg1`). Must not wait.
    fn keep(&self, stream: &str, at: Timestamp, probed: &Probed);

    /// Takes what still holds of the last probe of `stream`. Must not wait.
    fn state(&self, stream: &str, at: Timestamp, frame: &Frame);
}

impl Keeper for Store {
    fn keep(&self, stream: &str, at: Timestamp, probed: &Probed) {
        self.append(stream, at, &probed.frame);
        self.record_probe(&probed.record);
    }

    fn state(&self, stream: &str, at: Timestamp, frame: &Frame) {
        self.append(stream, at, frame);
    }
}

/// Why a probe on demand has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeNowError {
    #[error("there is no target `{name}`")]
    Unknown { name: String },
    #[error("the target `{name}` is switched off")]
    Off { name: String },
    #[error("probing is off (`collect.enabled`)")]
    AllOff,
    #[error("the store is not open yet")]
    Starting,
    #[error("the target `{name}` has too many probes waiting")]
    Busy { name: String },
    #[error("the target `{name}` was not probed within {}ms", waited.as_millis())]
    Late { name: String, waited: Duration },
}

/// What the rest of the agent sees; cheap to clone.
#[derive(Clone)]
pub struct Prober {
    board: Arc<Board>,
}

impl Prober {
    /// Starts the reconciler, and with it a worker for every target. `statuses` gets
    /// the state of every target, in the order of the configuration, after each probe.
    pub fn start(
        config: watch::Receiver<Arc<Config>>,
        surroundings: Surroundings,
        keeper: Arc<dyn Keeper>,
        bus: Bus,
        breakers: Breakers,
        statuses: watch::Sender<Arc<Vec<TargetStatus>>>,
    ) -> Self {
        let supervisor = surroundings.supervisor.clone();
        let board = Arc::new(Board::new(surroundings.clock.clone(), keeper, bus, breakers.clone(), statuses));
        let shared = board.clone();
        supervisor.spawn("prober", Policy::Restart, Phase::Collect, move |stop| {
            let (mut config, surroundings, board) = (config.clone(), surroundings.clone(), shared.clone());
            let mut changes = breakers.subscribe();
            async move {
                loop {
                    let wanted = config.borrow_and_update().clone();
                    reconcile(&targets::plans(&wanted, &surroundings), &surroundings.supervisor, &board);
                    board.forget_others(&names(&wanted));
                    loop {
                        tokio::select! {
                            () = stop.cancelled() => return TaskResult::Ok(()),
                            // The board lives as long as the breakers, so this never ends.
                            _ = changes.changed() => board.refresh(),
                            changed = config.changed() => match changed {
                                Ok(()) => break,
                                Err(_) => {
                                    // Nobody can change the configuration any more.
                                    stop.cancelled().await;
                                    return Ok(());
                                }
                            },
                        }
                    }
                }
            }
        });
        Self { board }
    }

    /// Probes `name` now, after a probe that is under way, and returns the record.
    ///
    /// # Errors
    /// [`ProbeNowError`]; waits at most twice the target's own deadline and a second.
    pub async fn probe_now(&self, name: &str) -> Result<ProbeRecord, ProbeNowError> {
        let unknown = || ProbeNowError::Unknown { name: name.to_owned() };
        let (requests, timeout) = self.board.requests_of(name)?;
        let (answer, answered) = oneshot::channel();
        requests.try_send(answer).map_err(|_| ProbeNowError::Busy { name: name.to_owned() })?;
        let waited = timeout * 2 + Duration::from_secs(1);
        match tokio::time::timeout(waited, answered).await {
            Ok(Ok(record)) => Ok(record),
            // The worker is gone and the request with it: the target was removed.
            Ok(Err(_)) => Err(unknown()),
            Err(_) => Err(ProbeNowError::Late { name: name.to_owned(), waited }),
        }
    }
}

/// Names of all configured targets, whether or not they are probed.
fn names(config: &Config) -> BTreeSet<&str> {
    config.target.sections().iter().map(|section| section.common().name.as_str()).collect()
}

/// Makes the running workers those of `plans`.
fn reconcile(plans: &[Plan], supervisor: &Supervisor, board: &Arc<Board>) {
    for started in board.reconcile(plans) {
        let name = format!("probe {}/{}", started.plan.kind, started.plan.name);
        let board = board.clone();
        supervisor.spawn(name, Policy::Restart, Phase::Collect, move |stop| {
            worker::run(started.clone(), board.clone(), stop)
        });
    }
}

#[cfg(test)]
mod tests;
