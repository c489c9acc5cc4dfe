//! How long something that is done again and again took: a histogram with fixed bounds.
//!
//! The bounds lie about a third of a decade apart from 100 us to 1 s: what is asked of it
//! is whether something ever takes too long, not how long to a percent.

use std::time::Duration;

use serde::Serialize;

/// Upper bounds in microseconds; beyond the last there is one more bucket.
const BOUNDS: [u64; 9] = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    counts: [u64; BOUNDS.len() + 1],
    total: Duration,
    longest: Duration,
}

impl Durations {
    pub fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.total += took;
        self.longest = self.longest.max(took);
    }

    /// What was added since it was as `before`; the longest is that of all time.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut left = *self;
        for (count, before) in left.counts.iter_mut().zip(before.counts) {
            *count = count.saturating_sub(before);
        }
        left.total = self.total.saturating_sub(before.total);
        left
    }

    pub fn view(&self) -> DurationsView {
        let count = self.counts.iter().sum();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let bounds = BOUNDS.iter().map(|micros| Some(*micros as f64 / 1000.0)).chain([None]);
        let buckets = bounds.zip(self.counts).map(|(up_to_ms, count)| DurationBucket { up_to_ms, count });
        DurationsView {
            count,
            total_ms: ms(self.total),
            average_ms: (count > 0).then(|| ms(self.total) / count as f64),
            longest_ms: ms(self.longest),
            buckets: buckets.collect(),
        }
    }
}

/// As it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Durations)]
pub struct DurationsView {
    pub count: u64,
    pub total_ms: f64,
    /// Null where nothing was counted.
    pub average_ms: Option<f64>,
    /// Since the agent started.
    pub longest_ms: f64,
    /// Each without those of the bucket before it.
    pub buckets: Vec<DurationBucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DurationBucket {
    /// Null: all that are longer.
    pub up_to_ms: Option<f64>,
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_has_its_bucket_and_a_window_its_own() {
        let mut all = Durations::default();
        assert_eq!(all.view().average_ms, None);
        all.add(Duration::from_micros(100));
        let before = all;
        all.add(Duration::from_millis(5));
        all.add(Duration::from_secs(90));
        let window = all.since(&before).view();
        assert_eq!((window.count, window.longest_ms), (2, 90_000.0));
        let filled: Vec<Option<f64>> =
            window.buckets.iter().filter(|bucket| bucket.count > 0).map(|bucket| bucket.up_to_ms).collect();
        assert_eq!(filled, [Some(10.0), None]);
        assert_eq!(all.view().buckets[0].count, 1);
    }
}
