//! Quantiles and fractions of classic histograms: counters `x_bucket` with a label `le`.
//!
//! Within a bucket observations are taken to be spread evenly. The formulas are those of
//! Prometheus 3.

use super::error::EvalError;
use super::frame::Frame;
use super::query::{Evaluated, Grid, Query};
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::{Expr, Span};
use crate::promql::labels::Labels;
use crate::promql::subset::ByHash;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";
/// Counts that differ by less than this part of their sum differ by rounding only.
const TOLERANCE: f64 = 1e-12;

/// Observations up to a bound, those of all lower buckets included.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// One histogram: the rows that are its buckets.
struct Histogram {
    labels: Labels,
    rows: Vec<(f64, usize)>,
}

impl Query<'_> {
    /// `histogram_quantile(q, buckets)`.
    pub fn histogram_quantile(&self, arguments: &[Expr], grid: Grid, span: Span) -> Evaluated<Frame> {
        let [quantile, vector] = arguments else {
            return Err(EvalError::execution(span, "`histogram_quantile` takes two arguments"));
        };
        let quantiles = self.scalar(quantile, grid)?;
        self.warn_of_quantiles(&quantiles);
        let frame = self.frame(vector, grid)?;
        self.of_histograms(&frame, grid, span, |step, buckets| {
            let (value, forced) = of_rank(quantiles[step], buckets);
            if forced {
                self.warn(String::from(
                    "input to histogram_quantile needed to be fixed for monotonicity: a bucket counts less than a lower one",
                ));
            }
            value
        })
    }

    /// `histogram_fraction(lower, upper, buckets)`.
    pub fn histogram_fraction(&self, arguments: &[Expr], grid: Grid, span: Span) -> Evaluated<Frame> {
        let [lower, upper, vector] = arguments else {
            return Err(EvalError::execution(span, "`histogram_fraction` takes three arguments"));
        };
        let (lower, upper) = (self.scalar(lower, grid)?, self.scalar(upper, grid)?);
        let frame = self.frame(vector, grid)?;
        self.of_histograms(&frame, grid, span, |step, buckets| fraction(lower[step], upper[step], buckets))
    }

    fn of_histograms(
        &self,
        frame: &Frame,
        grid: Grid,
        span: Span,
        value: impl Fn(usize, &mut Vec<Bucket>) -> f64,
    ) -> Evaluated<Frame> {
        let histograms = self.histograms(frame);
        self.charge(histograms.len().saturating_mul(grid.count))?;
        let mut found = Frame::empty(grid);
        let mut buckets = Vec::new();
        for Histogram { labels, rows } in histograms {
            let row = found.push_bare(labels);
            for step in 0..grid.count {
                self.work(rows.len())?;
                buckets.clear();
                for (bound, row) in &rows {
                    let count = frame.row(*row).get(step).copied().unwrap_or_else(no_value);
                    if !is_no_value(count) {
                        buckets.push(Bucket { bound: *bound, count });
                    }
                }
                if buckets.is_empty() {
                    continue;
                }
                buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
                // Two spellings of one bound are one bucket.
                buckets.dedup_by(|later, kept| {
                    let same = later.bound == kept.bound;
                    kept.count += if same { later.count } else { 0.0 };
                    same
                });
                let value = value(step, &mut buckets);
                if let Some(cell) = found.row_mut(row).get_mut(step) {
                    *cell = value;
                }
            }
        }
        self.derived(found, span)
    }

    /// Rows that differ in `le` alone belong together.
    fn histograms(&self, frame: &Frame) -> Vec<Histogram> {
        let mut places: ByHash<Labels, usize> = ByHash::default();
        let mut histograms: Vec<Histogram> = Vec::new();
        for (row, labels) in frame.labels.iter().enumerate() {
            let Ok(bound) = labels.value(BOUND).parse::<f64>() else {
                let words = "bucket label \"le\" is missing or has a malformed value";
                self.warn(format!("{words} of {:?} in {labels}", labels.value(BOUND)));
                continue;
            };
            let rest = labels.filtered(|name| name != BOUND);
            let place = *places.entry(rest.clone()).or_insert(histograms.len());
            if place == histograms.len() {
                histograms.push(Histogram { labels: rest, rows: Vec::new() });
            }
            if let Some(histogram) = histograms.get_mut(place) {
                histogram.rows.push((bound, row));
            }
        }
        histograms
    }
}

/// The value below which that part of the observations lies, and whether counts had to
/// be raised for it: they must not fall from bucket to bucket. The buckets are sorted.
fn of_rank(q: f64, buckets: &mut [Bucket]) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, false);
    }
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return (f64::NAN, false);
    }
    let forced = make_monotonic(buckets);
    let [below @ .., highest] = &*buckets else { return (f64::NAN, forced) };
    let Some(second) = below.last() else { return (f64::NAN, forced) };
    if highest.count == 0.0 {
        return (f64::NAN, forced);
    }
    let rank = q * highest.count;
    let Some(at) = Some(below.partition_point(|bucket| bucket.count < rank)).filter(|at| *at < below.len())
    else {
        // Nothing is known of the values beyond the highest bound.
        return (second.bound, forced);
    };
    let bucket = below[at];
    let value = match at.checked_sub(1).map(|before| below[before]) {
        None if bucket.bound <= 0.0 => bucket.bound,
        None => bucket.bound * (rank / bucket.count),
        Some(before) => {
            let part = (rank - before.count) / (bucket.count - before.count);
            before.bound + (bucket.bound - before.bound) * part
        }
    };
    (value, forced)
}

fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let mut before = buckets.first().map_or(0.0, |bucket| bucket.count);
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == before {
            continue;
        }
        let apart = !nearly_equal(before, bucket.count);
        if apart && bucket.count > before {
            before = bucket.count;
            continue;
        }
        forced |= apart && bucket.count < before;
        bucket.count = before;
    }
    forced
}

fn nearly_equal(a: f64, b: f64) -> bool {
    let (sum, apart) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return apart < TOLERANCE * f64::MIN_POSITIVE;
    }
    apart / sum.min(f64::MAX) < TOLERANCE
}

/// The part of the observations between two values. The buckets are sorted.
fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return f64::NAN };
    let total = last.count;
    if last.bound != f64::INFINITY || total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    // Below the first bound lie the values from 0, or all there are where it is not above.
    let lowest = if first.bound > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let rank = |value: f64| {
        let (mut from, mut counted) = (lowest, 0.0);
        for bucket in buckets {
            if from >= value {
                return counted;
            }
            if bucket.bound > value {
                let own = bucket.count - counted;
                let part = own * (value - from) / (bucket.bound - from);
                return if from == f64::NEG_INFINITY { bucket.count } else { counted + part };
            }
            (from, counted) = (bucket.bound, bucket.count);
        }
        total
    };
    (rank(upper).min(total) - rank(lower).min(total)) / total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn quantiles_are_interpolated_within_a_bucket() {
        let all = [(1.0, 10.0), (2.0, 30.0), (4.0, 40.0), (f64::INFINITY, 40.0)];
        for (q, value) in [(0.0, 0.0), (0.25, 1.0), (0.5, 1.5), (0.875, 3.0), (1.0, 4.0)] {
            assert_eq!(of_rank(q, &mut buckets(&all)), (value, false), "{q}");
        }
        let beyond = [(1.0, 10.0), (f64::INFINITY, 40.0)];
        assert_eq!(of_rank(0.9, &mut buckets(&beyond)).0, 1.0);
        let open = [(1.0, 10.0), (2.0, 30.0)];
        assert!(of_rank(0.5, &mut buckets(&open)).0.is_nan());
        assert_eq!(of_rank(2.0, &mut buckets(&all)).0, f64::INFINITY);
    }

    #[test]
    fn counts_that_fall_are_raised() {
        let mut fallen = buckets(&[(1.0, 10.0), (2.0, 5.0), (3.0, 20.0), (f64::INFINITY, 20.0)]);
        assert_eq!(of_rank(0.75, &mut fallen), (2.5, true));
        let mut rounded = buckets(&[(1.0, 10.0), (2.0, 10.0 - 1e-13), (f64::INFINITY, 10.0)]);
        assert!(!of_rank(0.5, &mut rounded).1);
    }

    #[test]
    fn fractions_are_the_inverse() {
        let all = buckets(&[(1.0, 10.0), (2.0, 30.0), (4.0, 40.0), (f64::INFINITY, 80.0)]);
        for (lower, upper, part) in [
            (f64::NEG_INFINITY, 1.5, 0.25),
            (0.5, 1.0, 0.0625),
            (3.0, f64::INFINITY, 0.5625),
            (2.0, 1.0, 0.0),
            (f64::NEG_INFINITY, f64::INFINITY, 1.0),
        ] {
            assert_eq!(fraction(lower, upper, &all), part, "{lower} {upper}");
        }
        assert!(fraction(f64::NAN, 1.0, &all).is_nan());
    }
}
