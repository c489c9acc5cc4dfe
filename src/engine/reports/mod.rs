//! Takes what applications report, and writes its series and failures.
//!
//! Figures are in memory at once and in the ring within a second, like the samples of a
//! collector. Failures are read later, one by one, so they are rows: saved by this task
//! at once, and then no more often than every ten seconds, because an application that
//! fails a hundred times a second must not write the disk away. One would get it wrong
//! by a commit per report.

mod log;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::log::FailureLog;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::logic::reports::{FORGOTTEN_AFTER, Frames, HEARTBEAT, Reports};
use crate::model::report::{FailureEvent, FailureReport, FigureReport, OperationReport};
use crate::model::series::{labels_of, name_of};
use crate::runtime::supervisor::TaskResult;
use crate::store::{Change, Store};

const STREAM: &str = "reports";
const TICK: Duration = Duration::from_secs(1);
/// All of it is written this often, changed or not.
const EVERY: Duration = Duration::from_secs(15);
/// Between two commits of failures.
const SAVE_EVERY: Duration = Duration::from_secs(10);

struct Inner {
    clock: Arc<dyn Clock>,
    store: Store,
    reports: Mutex<Reports>,
    log: Mutex<FailureLog>,
    pace: Mutex<Pace>,
}

/// When what was last done.
#[derive(Debug, Default)]
struct Pace {
    whole: Option<Monotonic>,
    saved: Option<Monotonic>,
}

/// See the module; cheap to clone.
#[derive(Clone)]
pub struct ReportKeeper {
    inner: Arc<Inner>,
}

impl ReportKeeper {
    /// `failures` were saved in earlier runs, by number.
    pub fn new(clock: Arc<dyn Clock>, store: Store, failures: Vec<FailureEvent>) -> Self {
        let mut reports = Reports::default();
        // An application that fell silent while the agent was away is missed, too.
        store.visit_latest(FORGOTTEN_AFTER, &mut |sample| {
            if name_of(sample.key) == HEARTBEAT {
                let source = labels_of(sample.key).into_iter().find(|(name, _)| name == "source");
                let last = Timestamp((sample.value * 1000.0) as i64);
                source.iter().for_each(|(_, source)| reports.restore_source(source, last));
            }
        });
        let log = FailureLog::restored(failures);
        let inner = Inner {
            clock,
            store,
            reports: Mutex::new(reports),
            log: Mutex::new(log),
            pace: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// # Errors
    /// What is wrong with the report.
    pub fn operation(&self, report: &OperationReport) -> Result<(), String> {
        let now = self.inner.clock.now();
        let mut reports = lock(&self.inner.reports);
        reports.operation(report, now)?;
        let error = report.error.as_ref().filter(|error| !report.success && !error.is_empty());
        let Some(message) = error.cloned() else { return Ok(()) };
        // What failed and says why is evidence like any other failure.
        let (source, kind) = (report.source.clone(), report.operation.clone());
        let kept = reports.failure(&FailureReport { source, kind, message, at: None }, now)?;
        lock(&self.inner.log).push(kept);
        Ok(())
    }

    /// # Errors
    /// What is wrong with the report.
    pub fn failure(&self, report: &FailureReport) -> Result<(), String> {
        let kept = lock(&self.inner.reports).failure(report, self.inner.clock.now())?;
        lock(&self.inner.log).push(kept);
        Ok(())
    }

    /// # Errors
    /// What is wrong with the report.
    pub fn figure(&self, report: &FigureReport) -> Result<(), String> {
        lock(&self.inner.reports).figure(report, self.inner.clock.now())
    }

    /// The failures that are remembered and `wanted`, newest first: a page, and how many.
    pub fn failures(
        &self,
        wanted: impl Fn(&FailureEvent) -> bool,
        limit: usize,
        offset: usize,
    ) -> (Vec<FailureEvent>, u64) {
        let log = lock(&self.inner.log);
        let found = || log.newest().filter(|event| wanted(event));
        (found().skip(offset).take(limit).cloned().collect(), found().count() as u64)
    }

    /// Writes until `stop`, and once more then.
    ///
    /// # Errors
    /// The store's, at the end.
    pub async fn run(self, stop: CancellationToken) -> TaskResult {
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.write_series();
                    return Ok(self.save().await?);
                }
                _ = beat.tick() => self.tick().await,
            }
        }
    }

    /// Does what is due.
    pub async fn tick(&self) {
        self.write_series();
        let now = self.inner.clock.monotonic();
        let due = lock(&self.inner.pace).saved.is_none_or(|saved| now.since(saved) >= SAVE_EVERY);
        if due && let Err(error) = self.save().await {
            tracing::warn!(%error, "reported failures could not be saved yet");
        }
    }

    /// Hands what was reported since the last time to the store.
    pub fn write_series(&self) {
        let (now, at) = (self.inner.clock.monotonic(), self.inner.clock.now());
        let whole = {
            let mut pace = lock(&self.inner.pace);
            let whole = pace.whole.is_none_or(|whole| now.since(whole) >= EVERY);
            if whole {
                pace.whole = Some(now);
            }
            whole
        };
        let Frames { zeros, frame } = lock(&self.inner.reports).write(at, whole);
        for (at, frame) in [(Timestamp(at.millis() - 1), zeros), (at, frame)] {
            if !frame.is_empty() {
                self.inner.store.append(STREAM, at, &frame);
            }
        }
    }

    /// Commits the failures that no commit holds.
    async fn save(&self) -> Result<(), crate::store::StoreError> {
        loop {
            let Some(mut batch) = lock(&self.inner.log).unsaved() else { return Ok(()) };
            lock(&self.inner.pace).saved = Some(self.inner.clock.monotonic());
            let writes = std::mem::take(&mut batch.writes);
            self.inner.store.commit(Change { writes, audit: None }).await?;
            lock(&self.inner.log).saved(&batch);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
