//! From the samples of an operation's series to its figures.
//!
//! Three series of one operation share their times: whether it went well, how long it
//! took, whether that was slow. Where raw samples are held each probe counts as it
//! was. Where only rows of a minute or an hour are left, counts are still exact (a row
//! has sum and count of the ones and zeros), and latencies go by the row's smallest,
//! largest and the mean of the rest; a row in which something failed is left out of the
//! latencies, because its mean would mix both. One would get it wrong by taking
//! percentiles of means: the slow one in a hundred would be gone.

use std::collections::BTreeSet;

use crate::model::operation::OperationMetrics;
use crate::model::query::{SeriesSamples, is_no_value};

/// Weight of the newest latency in the moving average.
const NEWEST: f64 = 0.2;

/// The series of one operation; the slow one is missing in data of older versions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held<'a> {
    pub success: Option<&'a SeriesSamples>,
    pub duration: Option<&'a SeriesSamples>,
    pub slow: Option<&'a SeriesSamples>,
}

/// What was counted so far; windows are added in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    total: u64,
    success: u64,
    slow: u64,
    average: Option<f64>,
    /// Latency, ms, and how many operations it stands for.
    latencies: Vec<(f32, u32)>,
}

impl Tally {
    /// Adds the samples of the next stretch of time.
    pub fn add(&mut self, held: Held<'_>) {
        let (total, success) = held.success.map_or((0, 0), count);
        self.total += total;
        self.success += success;
        self.slow += held.slow.map_or(0, |series| count(series).1);
        each_latency(held, &mut |latency, weight| {
            // As often as it stands for, without a loop over millions.
            let kept = (1.0 - NEWEST).powf(f64::from(weight));
            self.average = Some(self.average.map_or(latency, |was| was * kept + latency * (1.0 - kept)));
            self.latencies.push((latency as f32, weight));
        });
    }

    /// Operations counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Latencies held in memory.
    pub fn values(&self) -> usize {
        self.latencies.len()
    }

    /// The figures, under the name of the operation.
    pub fn figures(mut self, operation: &str) -> OperationMetrics {
        self.latencies.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let sorted = &self.latencies;
        let weight: u64 = sorted.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let sum: f64 = sorted.iter().map(|(value, weight)| f64::from(*value) * f64::from(*weight)).sum();
        let failed = self.total - self.success;
        OperationMetrics {
            operation: operation.to_owned(),
            total: self.total,
            success: self.success,
            failed,
            error_rate: if self.total == 0 { 0.0 } else { failed as f64 / self.total as f64 },
            avg: (weight > 0).then(|| sum / weight as f64),
            ema: self.average,
            p50: percentile(sorted, weight, 50),
            p95: percentile(sorted, weight, 95),
            p99: percentile(sorted, weight, 99),
            slow: self.slow,
        }
    }
}

/// How many samples of ones and zeros there are, and how many ones.
fn count(series: &SeriesSamples) -> (u64, u64) {
    let rows = series.rows.iter().map(|row| (u64::from(row.count), row.sum.max(0.0).round() as u64));
    let raw = series.samples().filter(|(_, value)| !is_no_value(*value));
    let raw = raw.map(|(_, value)| (1, u64::from(value > 0.5)));
    rows.chain(raw).fold((0, 0), |(total, ones), (n, more)| (total + n, ones + more.min(n)))
}

/// Visits the latencies of what went well, ms, in the order of time, each with how many
/// operations it stands for.
fn each_latency(held: Held<'_>, visit: &mut dyn FnMut(f64, u32)) {
    let (Some(success), Some(duration)) = (held.success, held.duration) else { return };
    let whole: BTreeSet<i64> = success.rows.iter().filter(|row| row.min > 0.5).map(|row| row.end).collect();
    for row in duration.rows.iter().filter(|row| whole.contains(&row.end) && row.count > 0) {
        let (smallest, largest) = (row.min * 1000.0, row.max * 1000.0);
        if row.count > 1 {
            visit(smallest, 1);
        }
        if row.count > 2 {
            let rest = row.count - 2;
            let mean = (row.sum * 1000.0 - smallest - largest) / f64::from(rest);
            visit(mean.clamp(smallest, largest), rest);
        }
        visit(largest, 1);
    }
    let mut went = success.samples().peekable();
    for (at, took) in duration.samples().filter(|(_, took)| !is_no_value(*took)) {
        while went.next_if(|(other, _)| *other < at).is_some() {}
        if went.peek().is_some_and(|(other, value)| *other == at && *value > 0.5) {
            visit(took * 1000.0, 1);
        }
    }
}

/// The smallest value that `share` percent of all do not exceed (nearest rank).
fn percentile(sorted: &[(f32, u32)], weight: u64, share: u64) -> Option<f64> {
    let rank = (weight * share).div_ceil(100).max(1);
    let mut passed = 0;
    sorted.iter().find_map(|(value, weight)| {
        passed += u64::from(*weight);
        (passed >= rank).then_some(f64::from(*value))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::query::{RunValues, SampleRun, TierRow};

    fn figures(operation: &str, held: Held<'_>) -> OperationMetrics {
        let mut tally = Tally::default();
        tally.add(held);
        tally.figures(operation)
    }

    fn raw(values: &[(i64, f64)]) -> SeriesSamples {
        let times: Arc<[i64]> = values.iter().map(|(at, _)| *at).collect();
        let values = RunValues::Each(values.iter().map(|(_, value)| *value).collect());
        SeriesSamples { runs: vec![SampleRun::new(times, values)], ..SeriesSamples::default() }
    }

    fn row(end: i64, values: &[f64]) -> TierRow {
        TierRow {
            start: end - 60_000,
            end,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            sum: values.iter().sum(),
            last: values[values.len() - 1],
            count: values.len() as u32,
        }
    }

    #[test]
    fn raw_samples_count_each_and_failures_have_no_latency() {
        let success = raw(&[(1, 1.0), (2, 0.0), (3, 1.0), (4, 1.0)]);
        // A failure that took five seconds; one that was not tried has no duration.
        let duration = raw(&[(1, 0.010), (2, 5.0), (3, 0.020), (4, 0.030)]);
        let slow = raw(&[(1, 0.0), (2, 1.0), (3, 0.0), (4, 0.0)]);
        let held = Held { success: Some(&success), duration: Some(&duration), slow: Some(&slow) };
        let got = figures("get", held);
        assert_eq!((got.total, got.success, got.failed, got.slow, got.error_rate), (4, 3, 1, 1, 0.25));
        assert_eq!((got.p50, got.p95, got.p99), (Some(20.0), Some(30.0), Some(30.0)));
        assert!((got.avg.unwrap() - 20.0).abs() < 1e-5);
        // 10, then 0.8 * 10 + 0.2 * 20 = 12, then 0.8 * 12 + 0.2 * 30 = 15.6
        assert!((got.ema.unwrap() - 15.6).abs() < 1e-9);
    }

    #[test]
    fn rows_count_exactly_and_keep_the_slowest() {
        let ones = [1.0; 60];
        let mut tenth = [0.010; 60];
        (tenth[7], tenth[9]) = (0.900, 0.001);
        let success = SeriesSamples {
            rows: vec![row(60_000, &ones), row(120_000, &[1.0, 0.0])],
            ..SeriesSamples::default()
        };
        let duration = SeriesSamples {
            rows: vec![row(60_000, &tenth), row(120_000, &[0.010, 5.0])],
            ..SeriesSamples::default()
        };
        let held = Held { success: Some(&success), duration: Some(&duration), slow: None };
        let got = figures("get", held);
        assert_eq!((got.total, got.failed, got.slow), (62, 1, 0));
        assert_eq!((got.p50.map(f64::round), got.p99), (Some(10.0), Some(900.0)));
    }

    #[test]
    fn nothing_is_nothing() {
        let got = figures("get", Held::default());
        assert_eq!(got, OperationMetrics { operation: String::from("get"), ..OperationMetrics::default() });
    }
}
