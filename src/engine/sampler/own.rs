//! What watching costs: series about the collectors and the store.
//!
//! They change little or are noise, so they are reported every fifteen seconds;
//! durations are whole microseconds, which is all they are good for.

use std::time::Duration;

use super::Sink;
use super::slot::Slot;
use crate::base::time::Monotonic;
use crate::collectors::Tick;
use crate::model::frame::Frame;
use crate::model::series::Kind;
use crate::store::StoreStats;

const EVERY: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Default)]
pub struct OwnCost {
    last: Option<Monotonic>,
    missed: u64,
}

impl OwnCost {
    /// Appends the series when they are due.
    pub fn report(&mut self, now: Tick, slots: &[Slot], missed: u64, sink: &dyn Sink, frame: &mut Frame) {
        self.missed += missed;
        let due = self.last.is_none_or(|last| now.monotonic.since(last) + EVERY / 30 >= EVERY);
        if !due {
            return;
        }
        self.last = Some(now.monotonic);
        let running = || slots.iter().filter(|slot| slot.enabled && slot.success().is_some());
        frame.gauge("holdfast_collector_duration_seconds", "How long the collector took in its last run.");
        for slot in running() {
            frame.push(&[("collector", slot.name())], slot.took().as_micros() as f64 / 1e6);
        }
        frame.gauge(
            "holdfast_collector_last_success_age_seconds",
            "Time since the collector last had samples.",
        );
        for (slot, age) in running().filter_map(|slot| Some((slot, slot.age(now)?))) {
            frame.push(&[("collector", slot.name())], age.as_millis() as f64 / 1000.0);
        }
        frame.gauge("holdfast_collector_success", "Whether the collector's last run succeeded in time.");
        for (slot, success) in running().filter_map(|slot| Some((slot, slot.success()?))) {
            frame.push(&[("collector", slot.name())], success);
        }
        frame
            .counter("holdfast_ticks_missed_total", "Ticks that passed without a collection.")
            .push(&[], self.missed as f64);
        store(&sink.stats(), frame);
    }
}

fn store(stats: &StoreStats, frame: &mut Frame) {
    let families = [
        ("file_bytes", stats.file_bytes, "Length of the store's file."),
        ("used_bytes", stats.used_bytes, "Part of the store's file that is in use."),
        ("cap_bytes", stats.cap_bytes, "Limit on the store's file."),
        ("series", stats.series, "Active series in the store."),
        ("samples_pending", stats.samples_pending, "Samples in memory that no flush has written yet."),
        ("tail_bytes", stats.tail_bytes, "Length of the tail in memory-backed storage."),
        ("series_refused_total", stats.series_refused_total, "Series refused at the cap."),
        ("samples_appended_total", stats.samples_appended_total, "Samples the store took in."),
        ("samples_shed_total", stats.samples_shed_total, "Samples dropped because the disk was full."),
        ("commits_total", stats.commits_total, "Transactions the store committed."),
        ("flushes_total", stats.flushes_total, "Flushes of samples to the file."),
        ("compactions_total", stats.compactions_total, "Hours that were compacted."),
        ("written_bytes_total", stats.written_bytes_total, "Bytes handed to the store's file."),
        ("reopens_total", stats.reopens_total, "Times the store's file was opened again after an error."),
    ];
    for (name, value, help) in families {
        let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
        let mut full = String::from("holdfast_store_");
        full.push_str(name);
        frame.family(&full, kind, help).push(&[], value as f64);
    }
}
