//! What is known about every target, and which worker may say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::history::History;
use super::{Keeper, ProbeNowError, breaker_series};
use crate::base::time::{Clock, Timestamp};
use crate::logic::breaker::Settings;
use crate::model::connections::Connections;
use crate::model::event::EventType;
use crate::model::frame::Frame;
use crate::model::probe::ProbeRecord;
use crate::model::target::TargetStatus;
use crate::runtime::breaker::Breaker;
use crate::runtime::breakers::Breakers;
use crate::runtime::bus::Bus;
use crate::targets::record::write_success;
use crate::targets::{Plan, Probed};

/// Probes on demand that may wait for one target.
const WAITING: usize = 8;

/// Who waits for the record of a probe.
pub type Request = oneshot::Sender<ProbeRecord>;

/// What a worker is started with. Cloned when it is started again.
#[derive(Clone)]
pub struct Started {
    pub plan: Plan,
    /// Tells this worker from an earlier one of the same name.
    pub number: u64,
    /// Cancelled when the target is removed or changed.
    pub removed: CancellationToken,
    pub requests: Arc<AsyncMutex<mpsc::Receiver<Request>>>,
    pub breaker: Arc<Breaker>,
}

struct Slot {
    number: u64,
    /// Place in the configuration.
    order: usize,
    fingerprint: [u8; 32],
    timeout: Duration,
    removed: CancellationToken,
    requests: mpsc::Sender<Request>,
    history: History,
    breaker: Arc<Breaker>,
    status: TargetStatus,
}

#[derive(Default)]
struct Slots {
    by_name: BTreeMap<String, Slot>,
    next: u64,
}

/// See the module.
pub struct Board {
    clock: Arc<dyn Clock>,
    keeper: Arc<dyn Keeper>,
    bus: Bus,
    breakers: Breakers,
    slots: Mutex<Slots>,
    statuses: watch::Sender<Arc<Vec<TargetStatus>>>,
}

impl Board {
    pub fn new(
        clock: Arc<dyn Clock>,
        keeper: Arc<dyn Keeper>,
        bus: Bus,
        breakers: Breakers,
        statuses: watch::Sender<Arc<Vec<TargetStatus>>>,
    ) -> Self {
        Self { clock, keeper, bus, breakers, slots: Mutex::default(), statuses }
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Where to ask for a probe of `name`, and its deadline.
    ///
    /// # Errors
    /// There is no such target, or it is switched off.
    pub fn requests_of(&self, name: &str) -> Result<(mpsc::Sender<Request>, Duration), ProbeNowError> {
        let slots = self.lock();
        let slot = slots.by_name.get(name);
        let slot = slot.ok_or_else(|| ProbeNowError::Unknown { name: name.to_owned() })?;
        if !slot.status.enabled {
            return Err(ProbeNowError::Off { name: name.to_owned() });
        }
        Ok((slot.requests.clone(), slot.timeout))
    }

    /// Shows the breakers as they are now.
    pub fn refresh(&self) {
        self.show(&self.lock());
    }

    /// Stops the workers that `plans` does not want and returns those to start.
    pub fn reconcile(&self, plans: &[Plan]) -> Vec<Started> {
        let mut slots = self.lock();
        let mut former = std::mem::take(&mut slots.by_name);
        let mut started = Vec::new();
        for (order, plan) in plans.iter().enumerate() {
            let name = plan.name.as_str();
            if slots.by_name.contains_key(name) {
                tracing::error!(target_name = name, "two targets have this name; the second is not probed");
                continue;
            }
            let mut slot = match former.remove(name) {
                Some(slot) if slot.fingerprint == plan.fingerprint && slot.status.kind == plan.kind => slot,
                changed => {
                    if let Some(slot) = &changed {
                        slot.removed.cancel();
                    }
                    let number = slots.next;
                    slots.next += 1;
                    let identity = format!("{}/{}", plan.kind, plan.address);
                    let breaker = self.breakers.of(name, &identity, breaker_settings(plan));
                    let (slot, worker) = new_slot(plan, number, breaker, changed);
                    if plan.enabled {
                        started.push(worker);
                    }
                    slot
                }
            };
            slot.order = order;
            slots.by_name.insert(name.to_owned(), slot);
        }
        for slot in former.values() {
            slot.removed.cancel();
        }
        self.show(&slots);
        started
    }

    /// Forgets the breakers of targets that are no longer configured.
    pub fn forget_others(&self, configured: &BTreeSet<&str>) {
        self.breakers.keep_only(configured);
    }

    /// Says again at `at` what the last probe of a target found, and how its breaker is.
    pub fn restate(&self, started: &Started, at: Timestamp) {
        let slots = self.lock();
        let name = &started.plan.name;
        let current = slots.by_name.get(name.as_str()).filter(|slot| slot.number == started.number);
        let Some(record) = current.and_then(|slot| slot.status.last.as_ref()) else { return };
        let mut frame = Frame::new();
        write_success(record, &mut frame);
        breaker_series::write(&started.breaker.view(), started.plan.kind, name, &mut frame);
        self.keeper.state(&format!("{}/{name}", started.plan.kind), at, &frame);
    }

    /// Takes the connections that the target of the worker `started` keeps, unless it was
    /// replaced meanwhile; shown with the result of the probe.
    pub fn keep_connections(&self, started: &Started, connections: Option<Connections>) {
        let mut slots = self.lock();
        let slot = slots.by_name.get_mut(started.plan.name.as_str());
        if let Some(slot) = slot.filter(|slot| slot.number == started.number) {
            slot.status.connections = connections;
        }
    }

    /// Takes the result of the worker `started`, unless it was replaced meanwhile.
    pub fn finish(&self, started: &Started, at: Timestamp, probed: &Probed) {
        let mut slots = self.lock();
        let name = started.plan.name.as_str();
        let Some(slot) = slots.by_name.get_mut(name).filter(|slot| slot.number == started.number) else {
            return;
        };
        let record = &probed.record;
        slot.history.add(self.clock.monotonic(), record.latency_ms, record.class);
        let figures = slot.history.figures();
        let status = &mut slot.status;
        let changed = status.class != Some(record.class);
        if changed {
            status.class = Some(record.class);
            status.since = Some(at);
        }
        (status.probes, status.failed, status.error_share) =
            (figures.probes, figures.failed, figures.error_share);
        (status.p50_ms, status.p95_ms) = (figures.p50_ms, figures.p95_ms);
        status.last = Some(record.clone());
        self.keeper.keep(&format!("{}/{name}", started.plan.kind), at, probed);
        self.show(&slots);
        // Last and inside the lock: whoever hears of the change also finds it in
        // the statuses, and two changes are told in their order.
        if changed {
            self.tell(record);
        }
    }

    fn tell(&self, record: &ProbeRecord) {
        let (code, detail) =
            record.problem().map_or(("", ""), |problem| (problem.code.as_str(), problem.detail.as_str()));
        let data = json!({
            "name": record.target.as_str(), "kind": record.kind, "class": record.class.word(),
            "code": code, "detail": detail, "latency_ms": record.latency_ms,
        });
        self.bus.publish(EventType::Target, data);
    }

    fn show(&self, slots: &Slots) {
        let mut shown: Vec<_> = slots.by_name.values().collect();
        shown.sort_by_key(|slot| slot.order);
        let with_breaker =
            |slot: &Slot| TargetStatus { breaker: slot.breaker.state(), ..slot.status.clone() };
        let statuses = shown.into_iter().map(with_breaker).collect();
        self.statuses.send_replace(Arc::new(statuses));
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot for `plan`. What was known stays known while kind and address are the
/// same: a new password or interval does not make it another server.
fn new_slot(plan: &Plan, number: u64, breaker: Arc<Breaker>, former: Option<Slot>) -> (Slot, Started) {
    let removed = CancellationToken::new();
    let (sender, receiver) = mpsc::channel(WAITING);
    let mut status = TargetStatus {
        name: plan.name.to_string(),
        kind: plan.kind.to_owned(),
        address: plan.address.clone(),
        interval_ms: plan.interval.as_millis() as u64,
        enabled: plan.enabled,
        breaker: breaker.state(),
        class: None,
        since: None,
        probes: 0,
        failed: 0,
        error_share: 0.0,
        p50_ms: None,
        p95_ms: None,
        connections: None,
        last: None,
    };
    let same = |former: &Slot| former.status.kind == status.kind && former.status.address == status.address;
    let mut history = History::default();
    if let Some(former) = former.filter(same) {
        let TargetStatus { interval_ms, enabled, .. } = status;
        status = TargetStatus { interval_ms, enabled, ..former.status };
        history = former.history;
    }
    let started = Started {
        plan: plan.clone(),
        number,
        removed: removed.clone(),
        requests: Arc::new(AsyncMutex::new(receiver)),
        breaker: breaker.clone(),
    };
    let slot = Slot {
        number,
        order: 0,
        fingerprint: plan.fingerprint,
        timeout: plan.timeout,
        removed,
        requests: sender,
        history,
        breaker,
        status,
    };
    (slot, started)
}

/// The breaker's settings as configured.
fn breaker_settings(plan: &Plan) -> Settings {
    let section = &plan.breaker;
    Settings {
        failure_threshold: section.failure_threshold,
        window: section.window.0,
        minimum_calls: section.minimum_calls,
        failure_share: section.failure_share,
        slow_call: section.slow_call.0,
        slow_share: section.slow_share,
        open_for: section.open_for.0,
        max_open_for: section.max_open_for.0,
        half_open_calls: section.half_open_calls,
        close_after: section.close_after,
        call_timeout: plan.timeout,
    }
}
