//! Counts of the requests served, without a lock.
//!
//! A latency falls into one of 64 buckets whose bounds grow by a third, so a
//! percentile is known within a third of its value. The rate is over the last
//! full minute, from one slot per second that carries its own second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::base::time::Monotonic;

const BUCKETS: usize = 64;
/// Upper bound of the first bucket, microseconds; the last ends at about 10 min.
const FIRST: f64 = 10.0;
const GROWTH: f64 = 4.0 / 3.0;
const SLOTS: u64 = 64;
const WINDOW: u64 = 60;

/// See the module.
#[derive(Debug)]
pub struct Counters {
    total: AtomicU64,
    errors: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    /// The second in the upper half, the count in the lower.
    slots: [AtomicU64; SLOTS as usize],
}

/// The figures of `api{}`. Latencies in milliseconds, absent before the first request.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct ApiFigures {
    pub total_requests: u64,
    /// Over the last minute.
    pub requests_per_second: f64,
    /// Share of answers with a status of 500 and more, 0..=1.
    pub error_rate: f64,
    pub average_latency_ms: Option<f64>,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            total: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            slots: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Counters {
    /// One answer, given at `now` after `took`.
    pub fn record(&self, now: Monotonic, took: Duration, failed: bool) {
        self.total.fetch_add(1, Relaxed);
        self.errors.fetch_add(u64::from(failed), Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 2);
        self.micros.fetch_add(micros, Relaxed);
        self.buckets[bucket_of(micros)].fetch_add(1, Relaxed);
        let second = now.0.as_secs();
        let slot = &self.slots[(second % SLOTS) as usize];
        let fresh = second << 32;
        let _ = slot.fetch_update(Relaxed, Relaxed, |held| {
            Some(if held >> 32 == second { held + 1 } else { fresh + 1 })
        });
    }

    pub fn figures(&self, now: Monotonic) -> ApiFigures {
        let total = self.total.load(Relaxed);
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let some = |value: f64| (total > 0).then_some(value);
        let second = now.0.as_secs();
        let recent = self.slots.iter().map(|slot| slot.load(Relaxed));
        let recent = recent.filter(|held| *held > 0 && second - (held >> 32).min(second) < WINDOW);
        let recent: u64 = recent.map(|held| held & u64::from(u32::MAX)).sum();
        ApiFigures {
            total_requests: total,
            requests_per_second: recent as f64 / now.0.as_secs_f64().clamp(1.0, WINDOW as f64),
            error_rate: some(self.errors.load(Relaxed) as f64 / total as f64).unwrap_or(0.0),
            average_latency_ms: some(self.micros.load(Relaxed) as f64 / 1000.0 / total as f64),
            p50: percentile(&counts, 0.50),
            p95: percentile(&counts, 0.95),
            p99: percentile(&counts, 0.99),
        }
    }
}

fn bucket_of(micros: u64) -> usize {
    let place = ((micros as f64 / FIRST).ln() / GROWTH.ln()).ceil();
    // Negative and NaN become 0.
    (place as usize).min(BUCKETS - 1)
}

/// Upper bound of the bucket that holds the percentile, milliseconds.
fn percentile(counts: &[u64], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let wanted = (total as f64 * share).ceil() as u64;
    let mut seen = 0;
    let at = counts.iter().position(|count| {
        seen += count;
        seen >= wanted && seen > 0
    })?;
    Some(FIRST * GROWTH.powi(at as i32) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_third() {
        let counters = Counters::default();
        let now = Monotonic(Duration::from_secs(120));
        assert_eq!(counters.figures(now).p99, None);
        for millis in 1..=100 {
            counters.record(now, Duration::from_millis(millis), millis == 100);
        }
        let figures = counters.figures(now);
        let (p50, p99) = (figures.p50.unwrap(), figures.p99.unwrap());
        assert!((50.0..=67.0).contains(&p50), "{p50}");
        assert!((99.0..=132.0).contains(&p99), "{p99}");
        assert_eq!((figures.total_requests, figures.error_rate), (100, 0.01));
        assert_eq!(figures.average_latency_ms, Some(50.5));
    }

    #[test]
    fn the_rate_forgets_after_a_minute() {
        let counters = Counters::default();
        for second in 0..60 {
            counters.record(Monotonic(Duration::from_secs(second)), Duration::ZERO, false);
        }
        assert_eq!(counters.figures(Monotonic(Duration::from_secs(59))).requests_per_second, 60.0 / 59.0);
        assert_eq!(counters.figures(Monotonic(Duration::from_secs(300))).requests_per_second, 0.0);
    }

    #[test]
    fn extreme_latencies_have_a_bucket() {
        assert_eq!((bucket_of(0), bucket_of(10), bucket_of(u64::MAX)), (0, 0, BUCKETS - 1));
    }
}
