//! Where series come from: the one door between PromQL and whoever holds samples.
//!
//! The evaluator asks once for each selector of a query, over the whole time the query
//! looks at; steps are cut from the answer. So a source need not be fast at being asked
//! often, only at handing out a window.

use super::labels::Labels;
use crate::model::query::{SeriesSamples, TierRow};
use crate::model::selector::Matcher;

/// What a selector needs.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// All of them hold; the metric's name is the label `__name__`. Regular expressions
    /// were tried with [`super::regex::compile`], and mean the whole value.
    pub matchers: &'a [Matcher],
    /// Excluded; milliseconds since 1970, as all times here.
    pub from: i64,
    /// Included.
    pub to: i64,
    /// Only the newest sample of the window is looked at, be it a staleness marker:
    /// older ones may be left out.
    pub newest_only: bool,
    /// Refuse with [`SourceError::TooMuch`] when more series match.
    pub max_series: usize,
    /// Refuse when the answer would hold more samples and rows.
    pub max_samples: usize,
}

/// One series in the window. Samples or rows outside it do no harm.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: Labels,
    /// Where no samples are held any more: by time, before all samples. To a selector a
    /// row stands for as long after its end as it is long itself, so one that ends that
    /// little before the window is of use.
    pub rows: Vec<TierRow>,
    /// By time, each time once. Staleness markers are among them.
    pub samples: Vec<(i64, f64)>,
}

impl Series {
    pub fn new(labels: Labels, samples: Vec<(i64, f64)>) -> Self {
        Self { labels, rows: Vec::new(), samples }
    }
}

impl From<SeriesSamples> for Series {
    fn from(stored: SeriesSamples) -> Self {
        let mut samples = Vec::with_capacity(stored.sample_count());
        samples.extend(stored.samples());
        Self { labels: Labels::from_key(&stored.key), rows: stored.rows, samples }
    }
}

/// Why a source does not answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceError {
    /// A matcher it cannot use.
    #[error("{0}")]
    BadMatcher(String),
    /// More than the request allows.
    #[error("{0}")]
    TooMuch(String),
    /// It is not there, or what it holds cannot be read.
    #[error("{0}")]
    Unavailable(String),
}

/// Holds series.
pub trait Source {
    /// The matching series that have anything in the window, in an order that does not
    /// change while the data do not: sums of floating-point numbers depend on it.
    ///
    /// # Errors
    /// [`SourceError`]; nothing is answered in part.
    fn select(&self, request: &Request<'_>) -> Result<Vec<Series>, SourceError>;
}
