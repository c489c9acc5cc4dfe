//! A question to the ring store, and its answer.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::selector::Selector;
use super::series::Kind;
use crate::base::time::Timestamp;

/// How far back a selector looks for a value, as in Prometheus.
pub const LOOKBACK: Duration = Duration::from_secs(300);

/// One resolution of the history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Resolution {
    /// Every sample as it came.
    #[serde(rename = "raw")]
    Raw,
    /// One row per minute: min, max, sum, count, last.
    #[serde(rename = "1m")]
    Minute,
    /// One row per hour.
    #[serde(rename = "1h")]
    Hour,
}

/// The value of each matching series at `start`, `start + step`, ... `end`.
#[derive(Clone, Debug)]
pub struct RangeQuery {
    pub selector: Selector,
    pub start: Timestamp,
    pub end: Timestamp,
    /// Not zero.
    pub step: Duration,
    pub lookback: Duration,
    /// Refuse when more series match.
    pub max_series: usize,
    /// Refuse when the answer would hold more points.
    pub max_points: usize,
}

/// One series of an answer. `points[i]` belongs to `start + i × step`; a `NaN`
/// whose bits are [`NO_VALUE`] says there was none.
#[derive(Clone, Debug)]
pub struct RangeSeries {
    pub key: String,
    pub points: Vec<f64>,
    /// Smallest and largest value inside each step, where the step is coarser
    /// than the samples; empty otherwise.
    pub min: Vec<f64>,
    pub max: Vec<f64>,
}

/// The answer, and from which resolutions it was made (finest first).
#[derive(Clone, Debug, Default)]
pub struct RangeAnswer {
    pub series: Vec<RangeSeries>,
    pub resolutions: Vec<Resolution>,
    pub damaged: Vec<Damage>,
}

/// Stored samples that could not be read: a coarser resolution answered in their place
/// where there is one, otherwise they are missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    pub resolution: Resolution,
    /// Excluded start, included end.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Series of the query it is about.
    pub series: usize,
    pub reason: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resolution, from, to, series, reason } = self;
        let name = match resolution {
            Resolution::Raw => "raw samples",
            Resolution::Minute => "1m rows",
            Resolution::Hour => "1h rows",
        };
        let (from, to) = (from.rfc3339(), to.rfc3339());
        write!(out, "{name} of {series} series from {from} to {to} cannot be read: {reason}")
    }
}

/// Bits of the `NaN` that means "no sample here", as distinct from a sample
/// whose value is `NaN`. (Prometheus' staleness marker.)
pub const NO_VALUE: u64 = 0x7ff0_0000_0000_0002;

pub fn no_value() -> f64 {
    f64::from_bits(NO_VALUE)
}

pub fn is_no_value(value: f64) -> bool {
    value.to_bits() == NO_VALUE
}

/// One series as the index knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    pub key: String,
    pub kind: Kind,
    pub help: String,
    /// Time of the first and the last sample still held.
    pub first: Timestamp,
    pub last: Timestamp,
    pub last_value: f64,
}

/// The samples of each matching series in `(from, to]`.
#[derive(Clone, Debug)]
pub struct SamplesQuery {
    pub selector: Selector,
    /// Excluded.
    pub from: Timestamp,
    /// Included.
    pub to: Timestamp,
    /// Nothing finer is read from the file: a day of minutes is a sixtieth of the work.
    /// What is in memory is always raw.
    pub finest: Resolution,
    /// Refuse when more series match.
    pub max_series: usize,
    /// Refuse when there are more samples and rows than this; so it bounds the memory
    /// of the answer, at most 16 bytes a sample and 56 a row.
    pub max_samples: usize,
}

/// One row of a tier, about the samples in `(start, end]`, ms. `NaN`s count and can be
/// last, but are not min or max while there are other values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TierRow {
    pub start: i64,
    pub end: i64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub last: f64,
    pub count: u32,
}

/// The values of a run: most series of a host stand still for hours.
#[derive(Clone, Debug)]
pub enum RunValues {
    Same(f64),
    Each(Vec<f64>),
}

/// Samples that follow each other. Series of one source share their times.
#[derive(Clone, Debug)]
pub struct SampleRun {
    times: Arc<[i64]>,
    values: RunValues,
}

impl SampleRun {
    /// `times` ascend, ms; as many values as times.
    pub fn new(times: Arc<[i64]>, values: RunValues) -> Self {
        debug_assert!(!matches!(&values, RunValues::Each(each) if each.len() != times.len()));
        Self { times, values }
    }

    /// Ascending, never empty in an answer.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    pub fn values(&self) -> &RunValues {
        &self.values
    }

    /// The value at `times()[index]`.
    pub fn value(&self, index: usize) -> Option<f64> {
        match &self.values {
            RunValues::Same(value) => (index < self.times.len()).then_some(*value),
            RunValues::Each(values) => values.get(index).copied(),
        }
    }

    /// (time in ms, value), ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, f64)> + '_ {
        self.times.iter().enumerate().filter_map(|(index, at)| Some((*at, self.value(index)?)))
    }
}

/// One series of an answer. No row covers the time of a sample, and no two rows overlap.
#[derive(Clone, Debug, Default)]
pub struct SeriesSamples {
    pub key: String,
    /// By time; rows of an hour and of a minute side by side: see how long each is.
    pub rows: Vec<TierRow>,
    /// By time, apart from each other.
    pub runs: Vec<SampleRun>,
}

impl SeriesSamples {
    /// All raw samples as (time in ms, value), ascending. Staleness markers
    /// ([`is_no_value`]) are among them.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = (i64, f64)> + '_ {
        self.runs.iter().flat_map(SampleRun::iter)
    }

    pub fn sample_count(&self) -> usize {
        self.runs.iter().map(|run| run.times.len()).sum()
    }
}

/// Raw samples where they are held, before that rows of a minute, before that of an
/// hour. A row is there when its end is in the window, so it may be about some time
/// before it; a window shorter than a row may hold none.
#[derive(Clone, Debug, Default)]
pub struct SamplesAnswer {
    /// By family and key; series without anything in the window are left out.
    pub series: Vec<SeriesSamples>,
    /// What the answer was made from, finest first.
    pub resolutions: Vec<Resolution>,
    pub damaged: Vec<Damage>,
}
