//! The memory budget: looks every few seconds, and under pressure has the caches give back.
//!
//! ```text
//! kernel --look--> Course --pressure--> every cache fits itself to it
//!                     `--change--> log, event, series, health
//! ```
//! The pattern: who holds a cache knows how to do with less, so the keeper only says how
//! hard memory presses, at every look. Wrong would be to tell a cache only of changes: one
//! that could not give back at that moment would never do so.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::base::time::{Clock, Monotonic};
use crate::config::Config;
use crate::logic::memory::Course;
use crate::model::event::EventType;
use crate::model::frame::Frame;
use crate::model::memory::{CacheSize, MemoryView, Pressure, Reading};
use crate::runtime::bus::Bus;
use crate::runtime::memory::MemoryFiles;
use crate::runtime::supervisor::{Supervisor, TaskResult};
use crate::store::{KEPT_FRAMES, Store};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// Between two samples of what does not change.
const SAMPLED: Duration = Duration::from_secs(15);
const STREAM: &str = "memory";

/// Something that keeps what it could get again.
pub trait Shrinks: Send + Sync {
    /// What it is, in one word.
    fn name(&self) -> &'static str;
    /// What it holds now.
    fn bytes(&self) -> u64;
    /// Holds no more than is right under `pressure`, until it is told otherwise. Called at
    /// every look; never waits.
    fn fit(&self, pressure: Pressure);
}

/// The samples in memory that the file has, too.
pub struct Samples(pub Store);

impl Shrinks for Samples {
    fn name(&self) -> &'static str {
        "samples"
    }

    fn bytes(&self) -> u64 {
        self.0.held_bytes()
    }

    fn fit(&self, pressure: Pressure) {
        self.0.keep_frames(match pressure {
            Pressure::None | Pressure::Low => KEPT_FRAMES,
            Pressure::High => KEPT_FRAMES / 3,
            Pressure::Critical => KEPT_FRAMES / 15,
        });
    }
}

/// What the keeper needs; cheap to clone, so that it can be started again.
#[derive(Clone)]
pub struct MemoryKeeper {
    pub clock: Arc<dyn Clock>,
    pub config: watch::Receiver<Arc<Config>>,
    pub store: Store,
    pub bus: Bus,
    pub files: MemoryFiles,
    pub caches: Arc<[Arc<dyn Shrinks>]>,
    pub view: watch::Sender<Arc<MemoryView>>,
}

impl MemoryKeeper {
    /// Looks until `stop`.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, stop: CancellationToken) -> TaskResult {
        let mut course = Course::default();
        let mut sampled = None;
        loop {
            let settings = self.config.borrow().memory.clone();
            let (files, limit) = (self.files.clone(), settings.limit.map(|limit| limit.0));
            let reading = Supervisor::blocking(move || files.look(limit)).await.unwrap_or_default();
            if settings.budget {
                course.look(&reading, self.clock.monotonic());
            } else {
                course = Course::default();
            }
            self.take(course.pressure(), settings.budget, reading, &mut sampled);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Does what one look asks for.
    fn take(&self, pressure: Pressure, enabled: bool, reading: Reading, sampled: &mut Option<Monotonic>) {
        let (now, at) = (self.clock.monotonic(), self.clock.now());
        let former = self.view.borrow().clone();
        let before = self.sizes();
        self.caches.iter().for_each(|cache| cache.fit(pressure));
        let changed = former.pressure != pressure;
        let view = MemoryView {
            enabled,
            pressure,
            since: if changed || former.since.is_none() { Some(at) } else { former.since },
            resident_bytes: reading.resident,
            limits: reading.uses,
            waited_percent: reading.waited_percent,
            caches: self.sizes(),
        };
        if changed {
            self.tell(former.pressure, &view, &before);
        }
        if changed || sampled.is_none_or(|sampled| now.since(sampled) + EVERY / 2 >= SAMPLED) {
            *sampled = Some(now);
            self.store.append(STREAM, at, &frame(&view));
        }
        self.view.send_replace(Arc::new(view));
    }

    fn sizes(&self) -> Vec<CacheSize> {
        self.caches.iter().map(|cache| CacheSize { name: cache.name(), bytes: cache.bytes() }).collect()
    }

    fn tell(&self, former: Pressure, view: &MemoryView, before: &[CacheSize]) {
        let held = |sizes: &[CacheSize]| sizes.iter().map(|cache| cache.bytes).sum::<u64>();
        let freed_bytes = held(before).saturating_sub(held(&view.caches));
        let (pressure, was) = (view.pressure.word(), former.word());
        let tightest = view.limits.first();
        let (used_bytes, limit_bytes) = tightest
            .map_or((view.resident_bytes, None), |used| (Some(used.used_bytes), Some(used.limit_bytes)));
        if view.pressure > former {
            tracing::warn!(
                pressure,
                was,
                used_bytes,
                limit_bytes,
                freed_bytes,
                "memory is short, caches are made smaller"
            );
        } else {
            tracing::info!(
                pressure,
                was,
                used_bytes,
                limit_bytes,
                "memory is less short, caches may grow again"
            );
        }
        let data = json!({
            "action": "memory", "pressure": pressure, "was": was, "used_bytes": used_bytes,
            "limit_bytes": limit_bytes, "waited_percent": view.waited_percent, "freed_bytes": freed_bytes,
            "caches": view.caches,
        });
        self.bus.publish(EventType::System, data);
    }
}

fn frame(view: &MemoryView) -> Frame {
    let mut frame = Frame::new();
    frame
        .gauge(
            "holdfast_memory_pressure",
            "How hard memory presses the agent: 0 none, 1 low, 2 high, 3 critical.",
        )
        .push(&[], f64::from(view.pressure.step()));
    if let Some(bytes) = view.resident_bytes {
        frame
            .gauge("holdfast_memory_resident_bytes", "Resident memory of the agent.")
            .push(&[], bytes as f64);
    }
    if let Some(tightest) = view.limits.first() {
        frame
            .gauge("holdfast_memory_limit_used_ratio", "Memory in use, of the tightest limit on the agent.")
            .push(&[], tightest.share());
    }
    frame.gauge("holdfast_cache_bytes", "What a cache of the agent holds.");
    for cache in &view.caches {
        frame.push(&[("cache", cache.name)], cache.bytes as f64);
    }
    frame
}
