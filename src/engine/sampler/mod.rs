//! Every tick: run the collectors, hand one frame to the store, show the host.
//!
//! ```text
//!   collector:  pending --ran--> ok | absent | failed --overran--> stuck --came back--> pending
//! ```
//! The pattern: the collectors run in order on one thread of a [`Crew`]; one that
//! overruns its deadline keeps that thread and is stuck, the tick goes on with
//! the others on a fresh one, and the stuck one rejoins when it returns. Its late
//! samples are thrown away: they belong to a tick that is over. The task holds
//! nothing that a new start would miss, so it may be started again after a panic.
//! Wrong would be to await each collector: twenty wake-ups a second instead of one.

mod identity;
mod own;
mod slot;
mod summary;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::own::OwnCost;
use self::slot::{Job, Slot};
use self::summary::Summarizer;
pub use self::summary::is_own_disk;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::collectors::{CollectError, Collector, Roots, Tick};
use crate::config::Config;
use crate::config::collect::Collect;
use crate::model::event::EventType;
use crate::model::frame::Frame;
use crate::model::host::{HostIdentity, HostSummary, HostView, TopProcesses};
use crate::runtime::bus::Bus;
use crate::runtime::crew::Crew;
use crate::runtime::supervisor::TaskResult;
use crate::runtime::ticker::{self, Ticker};
use crate::store::{AppendReport, Store, StoreStats};

/// The stream of the host's frames in the store.
pub const STREAM: &str = "host";
/// Without listeners a `metrics` event is published this often, so that whoever
/// resumes the sequence finds some.
const QUIET_EVENTS: Duration = Duration::from_secs(30);

/// Where frames go; the store, or a test's own.
pub trait Sink: Send + Sync + 'static {
    fn append(&self, at: Timestamp, frame: &Frame) -> AppendReport;
    fn stats(&self) -> StoreStats;
}

impl Sink for Store {
    fn append(&self, at: Timestamp, frame: &Frame) -> AppendReport {
        Self::append(self, STREAM, at, frame)
    }

    fn stats(&self) -> StoreStats {
        Self::stats(self)
    }
}

/// What a sampler is given; all of it is shared with others.
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub config: watch::Receiver<Arc<Config>>,
    pub sink: Arc<dyn Sink>,
    pub bus: Bus,
    /// Makes one of every kind of collector: [`crate::collectors::all`].
    pub collectors: fn(&Roots) -> Vec<Box<dyn Collector>>,
    /// What was last seen of the host; sent every tick.
    pub view: watch::Sender<Arc<HostView>>,
}

/// See the module.
pub struct Sampler {
    parts: Parts,
}

impl Sampler {
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Collecting was switched off: old figures are not shown as if they were new.
    fn forget(&self) {
        self.parts.view.send_modify(|view| {
            let (identity, ticks) = (view.identity.clone(), view.ticks);
            *view = Arc::new(HostView { identity, ticks, ..HostView::default() });
        });
    }

    /// Samples until `stop`, following the configuration.
    ///
    /// # Errors
    /// None; the type is that of every task.
    pub async fn run(&self, stop: CancellationToken) -> TaskResult {
        let mut config = self.parts.config.clone();
        let mut state = None;
        loop {
            let collect = config.borrow_and_update().collect.clone();
            if !collect.enabled {
                state = None;
                self.forget();
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    changed = config.changed() => if changed.is_err() { return Ok(()) },
                }
                continue;
            }
            let run = state.get_or_insert_with(|| Run::new(&self.parts, &collect));
            run.configure(&self.parts, &collect);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    changed = config.changed() => {
                        if changed.is_err() { return Ok(()) }
                        break;
                    }
                    tick = run.ticker.tick() => run.tick(self, tick).await,
                }
            }
        }
    }
}

/// What lives as long as one run of the task.
struct Run {
    roots: Roots,
    interval: Duration,
    ticker: Ticker,
    slots: Vec<Slot>,
    crew: Crew<Job, Result<(), CollectError>>,
    identity: HostIdentity,
    summarizer: Summarizer,
    own: OwnCost,
    processes: Option<TopProcesses>,
    frame: Frame,
    ticks: u64,
    last_event: Option<Monotonic>,
    /// Whether the last frame had samples that the store refused.
    refused: bool,
}

impl Run {
    fn new(parts: &Parts, collect: &Collect) -> Self {
        let clock = parts.clock.clone();
        let work = move |job: &mut Job| job.run(&*clock);
        let roots = roots_of(collect);
        Self {
            interval: collect.interval.0,
            ticker: Ticker::new(parts.clock.clone(), collect.interval.0),
            slots: (parts.collectors)(&roots).into_iter().map(Slot::new).collect(),
            crew: Crew::new("collectors", work),
            identity: identity::read(&roots),
            summarizer: Summarizer::default(),
            own: OwnCost::default(),
            processes: None,
            frame: Frame::new(),
            ticks: 0,
            last_event: None,
            refused: false,
            roots,
        }
    }

    fn configure(&mut self, parts: &Parts, collect: &Collect) {
        if self.roots != roots_of(collect) {
            *self = Self::new(parts, collect);
        }
        if self.interval != collect.interval.0 {
            self.interval = collect.interval.0;
            self.ticker = Ticker::new(parts.clock.clone(), self.interval);
        }
        for slot in &mut self.slots {
            slot.enabled = !collect.disable.iter().any(|name| name == slot.name());
        }
    }

    async fn tick(&mut self, sampler: &Sampler, tick: ticker::Tick) {
        let parts = &sampler.parts;
        if let Some(back) = tick.jumped_back {
            tracing::warn!(seconds = back.as_secs_f64(), "the wall clock went back");
            let data = json!({"action": "clock_jumped", "back_seconds": back.as_secs_f64()});
            parts.bus.publish(EventType::System, data);
        }
        let now = Tick { at: tick.at, monotonic: parts.clock.monotonic() };
        self.collect(now).await;
        self.ticks += 1;
        let summary = self.summarizer.summarize(now, &self.frame);
        summary::write(&summary, &mut self.frame);
        self.own.report(now, &self.slots, tick.missed, &*parts.sink, &mut self.frame);
        let report = parts.sink.append(now.at, &self.frame);
        self.note_refused(report);
        self.show(sampler, now, summary);
    }

    /// Runs what is due and fills the frame.
    async fn collect(&mut self, now: Tick) {
        for late in self.crew.take_returned() {
            self.slots[late.tag].rejoin(late.job);
        }
        let slack = self.interval / 2;
        let jobs: Vec<_> = self
            .slots
            .iter_mut()
            .enumerate()
            .filter_map(|(tag, slot)| slot.take_if_due(now, slack).map(|job| (tag, job)))
            .collect();
        if let Err(error) = self.crew.start(jobs) {
            tracing::error!(%error, "cannot start a thread for the collectors");
        }
        self.await_crew().await;
        self.frame.clear();
        for done in self.crew.take_finished() {
            let slot = &mut self.slots[done.tag];
            slot.finish(done.job, done.result, now);
            if slot.is_ok() {
                self.frame.append(slot.frame());
                if let Some(processes) = slot.take_processes() {
                    self.processes = Some(processes);
                }
            }
        }
        // Only when no thread could be started.
        for (tag, job) in self.crew.take_queued() {
            self.slots[tag].rejoin(job);
        }
    }

    /// Waits for the crew; a job that runs for its whole deadline is given up.
    async fn await_crew(&mut self) {
        while !self.crew.is_idle() {
            let running = self.crew.running();
            let patience = running.map_or(slot::STARTING, |running| self.slots[running.tag].deadline());
            if tokio::time::timeout(patience, self.crew.idle()).await.is_ok() {
                return;
            }
            let given_up = match running {
                Some(running) => self.crew.give_up(running).map(|left| left.then_some(running.tag)),
                // The thread has not begun: it was refused, or the host is overloaded.
                None if self.crew.running().is_none() => return,
                None => Ok(None),
            };
            match given_up {
                Ok(Some(tag)) => self.slots[tag].overran(),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot start a fresh thread for the collectors");
                    return;
                }
            }
        }
    }

    fn note_refused(&mut self, report: AppendReport) {
        let refused = report.refused > 0;
        if refused && !self.refused {
            tracing::warn!(
                series = report.refused,
                "the store refused series: storage.max_series is reached"
            );
        }
        self.refused = refused;
    }

    /// Updates what the others see.
    fn show(&mut self, sampler: &Sampler, now: Tick, summary: HostSummary) {
        let bus = &sampler.parts.bus;
        let quiet = self.last_event.is_some_and(|last| now.monotonic.since(last) < QUIET_EVENTS);
        if bus.listeners() > 0 || !quiet {
            match serde_json::to_value(&summary) {
                Ok(data) => {
                    bus.publish(EventType::Metrics, data);
                    self.last_event = Some(now.monotonic);
                }
                Err(error) => tracing::error!(%error, "cannot write the summary of the host"),
            }
        }
        if self.identity.boot_time_seconds.is_none() {
            self.identity = identity::read(&self.roots);
        }
        sampler.parts.view.send_replace(Arc::new(HostView {
            identity: self.identity.clone(),
            summary,
            processes: self.processes.clone(),
            collectors: self.slots.iter().filter(|slot| slot.enabled).map(Slot::status).collect(),
            ticks: self.ticks,
        }));
    }
}

fn roots_of(collect: &Collect) -> Roots {
    Roots { procfs: collect.procfs.clone(), sysfs: collect.sysfs.clone(), rootfs: collect.rootfs.clone() }
}
