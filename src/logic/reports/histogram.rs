//! A histogram with fixed bounds, and its series.

use crate::model::frame::Frame;

/// Bounds for durations, in seconds; 5 and 10 are those of the shipped rules, so that a
/// percentile on either side of them is exact about the side.
pub const SECONDS: &[f64] = &[0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds for whatever it is.
pub const ANYTHING: &[f64] =
    &[0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 1e4, 1e5, 1e6];

/// Series beside one per bound: `+Inf`, `_sum`, `_count`.
const BESIDE: usize = 3;

#[derive(Clone, PartialEq, Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Observations up to each bound and above the one before; the last has no bound.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// `bounds` ascend.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    pub fn observe(&mut self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
            self.sum += value;
        }
    }

    /// How many series it is.
    pub fn series(&self) -> usize {
        self.bounds.len() + BESIDE
    }

    /// Whether its bounds are these.
    pub fn is_of(&self, bounds: &[f64]) -> bool {
        self.bounds == bounds
    }

    /// One with the same bounds and nothing in it.
    pub fn emptied(&self) -> Self {
        Self::new(self.bounds)
    }

    /// Appends its series to the family that `frame` began.
    pub fn write(&self, labels: &[(&str, &str)], frame: &mut Frame) {
        let mut below = 0;
        let unbounded = std::iter::once(String::from("+Inf"));
        let bounds = self.bounds.iter().map(|bound| format!("{bound:?}")).chain(unbounded);
        for (bound, count) in bounds.zip(&self.counts) {
            below += count;
            let with_bound: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            frame.push_suffixed("_bucket", &with_bound, below as f64);
        }
        frame.push_suffixed("_sum", labels, self.sum).push_suffixed("_count", labels, below as f64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::series::Kind;

    fn written(histogram: &Histogram) -> Vec<(String, f64)> {
        let mut frame = Frame::new();
        histogram.write(&[("x", "y")], frame.family("h", Kind::Histogram, ""));
        frame.iter().map(|sample| (sample.key.to_owned(), sample.value)).collect()
    }

    #[test]
    fn a_value_on_a_bound_is_below_it() {
        let mut histogram = Histogram::new(SECONDS);
        for value in [0.005, 0.006, 5.0, 31.0] {
            histogram.observe(value);
        }
        let series = written(&histogram);
        let value = |key: &str| series.iter().find(|(known, _)| known == key).map(|(_, value)| *value);
        assert_eq!(value("h_bucket{le=\"0.005\",x=\"y\"}"), Some(1.0));
        assert_eq!(value("h_bucket{le=\"0.025\",x=\"y\"}"), Some(2.0));
        assert_eq!(value("h_bucket{le=\"5.0\",x=\"y\"}"), Some(3.0));
        assert_eq!(value("h_bucket{le=\"+Inf\",x=\"y\"}"), Some(4.0));
        assert_eq!(value("h_count{x=\"y\"}"), Some(4.0));
        assert_eq!(value("h_sum{x=\"y\"}"), Some(36.011));
        assert_eq!(series.len(), histogram.series());
    }

    proptest! {
        #[test]
        fn counts_never_fall_from_bound_to_bound(values in prop::collection::vec(-1e9..1e9_f64, 0..50)) {
            let mut histogram = Histogram::new(ANYTHING);
            values.iter().for_each(|value| histogram.observe(*value));
            let series = written(&histogram);
            let buckets: Vec<f64> = series.iter().take(ANYTHING.len() + 1).map(|(_, value)| *value).collect();
            prop_assert!(buckets.is_sorted());
            prop_assert_eq!(buckets.last().copied(), Some(values.len() as f64));
        }
    }
}
