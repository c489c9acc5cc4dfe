//! What goes into an evaluation and what comes out.

use std::fmt;
use std::time::Duration;

use crate::model::query::LOOKBACK;
use crate::promql::labels::Labels;

/// What a query may take, and how it looks at samples.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Samples read and values computed on the way, all together; 16 bytes each.
    pub max_samples: usize,
    /// Series that one selector may match.
    pub max_series: usize,
    /// How far back a selector looks for a sample.
    pub lookback: Duration,
    /// The step of a subquery that names none: the interval of evaluation.
    pub default_subquery_step: Duration,
    /// Asked between portions of work of some tenths of a millisecond; `true` ends it.
    pub stop: &'a dyn Fn() -> bool,
}

impl<'a> Limits<'a> {
    /// The limits of Prometheus where it has some, for a machine of ordinary size.
    pub fn new(stop: &'a dyn Fn() -> bool) -> Self {
        Self {
            max_samples: 10_000_000,
            max_series: 50_000,
            lookback: LOOKBACK,
            default_subquery_step: Duration::from_secs(60),
            stop,
        }
    }
}

impl fmt::Debug for Limits<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Limits")
            .field("max_samples", &self.max_samples)
            .field("max_series", &self.max_series)
            .field("lookback", &self.lookback)
            .field("default_subquery_step", &self.default_subquery_step)
            .finish_non_exhaustive()
    }
}

/// The value of a series at the time that was asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    pub labels: Labels,
    pub value: f64,
}

/// The values of a series: (time in ms, value), by time.
#[derive(Clone, PartialEq, Debug)]
pub struct RangeSeries {
    pub labels: Labels,
    pub points: Vec<(i64, f64)>,
}

/// The value of an expression at one time.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Scalar(f64),
    Text(String),
    /// In no particular order unless the expression sorts.
    Vector(Vec<Sample>),
    /// Of a selector with a range, or a subquery, and nothing around it.
    Matrix(Vec<RangeSeries>),
}

/// A value, and what is to be said of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer<T> {
    pub value: T,
    /// What Prometheus calls warnings and infos: the value is right, the question odd.
    pub warnings: Vec<String>,
}
