//! How long operations took and how many failed, from single probes and from the buckets
//! of histograms alike.
//!
//! Inside a bucket values are taken to be spread evenly, as `histogram_quantile` takes
//! them; beyond the last bound nothing is known but that bound. One would get it wrong by
//! averaging percentiles of parts: the slow one in a hundred would be gone.

/// Points that stand for the values of one bucket.
const SPREAD: u32 = 8;

/// What was counted so far.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    total: f64,
    failed: f64,
    /// Sum of all durations, and how many it is of; s.
    sum: f64,
    timed: f64,
    /// Duration, s, and how many operations it stands for.
    points: Vec<(f64, f64)>,
}

/// What they come to; durations in ms, absent where nothing was timed.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct LatencyFigures {
    pub count: u64,
    pub failed: u64,
    /// Failed of all, 0 to 1; null when there were none.
    pub error_rate: Option<f64>,
    pub average_ms: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

impl Latencies {
    /// So many ended, of which `failed`.
    pub fn count(&mut self, total: f64, failed: f64) {
        self.total += total;
        self.failed += failed;
    }

    /// One took so long.
    pub fn took(&mut self, seconds: f64) {
        self.points.push((seconds, 1.0));
        self.sum += seconds;
        self.timed += 1.0;
    }

    /// What a histogram grew by: for each bound, ascending, how many more were not above
    /// it, the last for all; and the sum of their durations.
    pub fn histogram(&mut self, buckets: &[(f64, f64)], sum: f64) {
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in buckets {
            let here = (count - below).max(0.0);
            if here > 0.0 {
                let high = if bound.is_finite() { *bound } else { low };
                let weight = here / f64::from(SPREAD);
                let at = |step: u32| low + (high - low) * (f64::from(step) + 0.5) / f64::from(SPREAD);
                self.points.extend((0..SPREAD).map(|step| (at(step), weight)));
            }
            if bound.is_finite() {
                low = *bound;
            }
            below = count.max(below);
        }
        self.sum += sum.max(0.0);
        self.timed += below;
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.failed += other.failed;
        self.sum += other.sum;
        self.timed += other.timed;
        self.points.extend_from_slice(&other.points);
    }

    pub fn figures(mut self) -> LatencyFigures {
        self.points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let weight: f64 = self.points.iter().map(|(_, weight)| weight).sum();
        let percentile = |share: f64| {
            let mut seen = 0.0;
            let reached = self.points.iter().find(|(_, count)| {
                seen += count;
                // Sums of eighths are not exact.
                seen + 1e-9 >= weight * share
            });
            reached.or(self.points.last()).map(|(seconds, _)| seconds * 1000.0)
        };
        LatencyFigures {
            count: self.total.round() as u64,
            failed: self.failed.round() as u64,
            error_rate: (self.total > 0.0).then(|| self.failed / self.total),
            average_ms: (self.timed > 0.0).then(|| self.sum / self.timed * 1000.0),
            p50_ms: percentile(0.50),
            p95_ms: percentile(0.95),
            p99_ms: percentile(0.99),
            max_ms: self.points.last().map(|(seconds, _)| seconds * 1000.0),
        }
    }
}

/// What a counter grew by after `from`, ms: from its last sample up to then, or its first
/// one, to its newest. A value below the one before is the first of a new run.
pub fn growth(samples: impl Iterator<Item = (i64, f64)>, from: i64) -> f64 {
    let (mut before, mut grown) = (None, 0.0);
    for (at, value) in samples.filter(|(_, value)| value.is_finite()) {
        if at > from
            && let Some(before) = before
        {
            grown += if value >= before { value - before } else { value };
        }
        before = Some(value);
    }
    grown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_grows_from_the_sample_before_and_begins_again_after_a_reset() {
        let samples = [(0, 5.0), (10, 7.0), (20, 10.0), (30, 2.0), (40, f64::NAN), (50, 3.0)];
        assert_eq!(growth(samples.into_iter(), 10), 3.0 + 2.0 + 1.0);
        assert_eq!(growth(samples.into_iter(), -1), 2.0 + 3.0 + 2.0 + 1.0);
        assert_eq!(growth(std::iter::empty(), 0), 0.0);
    }

    #[test]
    fn probes_and_buckets_are_counted_together() {
        let mut all = Latencies::default();
        assert_eq!(all.clone().figures().p95_ms, None);
        for millis in 1..=90 {
            all.took(f64::from(millis) / 1000.0);
        }
        all.count(90.0, 9.0);
        let mut reported = Latencies::default();
        reported.count(10.0, 1.0);
        reported.histogram(&[(0.1, 0.0), (1.0, 10.0), (f64::INFINITY, 10.0)], 5.0);
        all.add(&reported);
        let figures = all.figures();
        assert_eq!((figures.count, figures.failed, figures.error_rate), (100, 10, Some(0.1)));
        assert_eq!(figures.p50_ms, Some(50.0));
        let p95 = figures.p95_ms.unwrap();
        assert!((400.0..=600.0).contains(&p95), "{p95}");
        let average = figures.average_ms.unwrap();
        assert!((average - (4.095 + 5.0) * 10.0).abs() < 1e-6, "{average}");
    }

    proptest! {
        #[test]
        fn percentiles_ascend_whatever_the_buckets_say(counts in prop::collection::vec(-5.0..50.0_f64, 0..6), sum in -1.0..9.0_f64) {
            let bounds = [0.1, 0.5, 1.0, 5.0, f64::INFINITY];
            let buckets: Vec<_> = bounds.into_iter().zip(counts).collect();
            let mut all = Latencies::default();
            all.histogram(&buckets, sum);
            let figures = all.figures();
            prop_assert!(figures.p50_ms <= figures.p95_ms && figures.p95_ms <= figures.p99_ms);
            prop_assert!(figures.p99_ms <= figures.max_ms);
        }
    }
}
