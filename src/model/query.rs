//! A question to the ring store, and its answer.

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
