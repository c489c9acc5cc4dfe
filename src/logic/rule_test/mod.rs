//! Unit tests of rules in promtool's format, and running them.
//!
//! A test gives series, an interval, and what expressions and alerts must be at certain
//! times. What promtool passes passes here and what it fails fails, down to its habits:
//! the test's clock goes in steps of the evaluation interval, and a query between two
//! steps sees only what was there at the step before. What we do not have (native
//! histograms, experimental functions) is refused by name and told apart from what is
//! wrong. One difference: an expected NaN equals a NaN, where promtool's never does.
//! Source: the documentation of unit tests of rules.

mod memory;
mod notation;
mod prometheus;
mod read;
mod run;

pub use read::read;
pub use run::run;

use std::time::Duration;

use super::yaml::Place;
use crate::base::time::Timestamp;
use crate::promql::Labels;

/// A file of tests.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TestFile {
    /// Paths or patterns of rule files, as they are written.
    pub rule_files: Vec<(String, Place)>,
    /// Between two evaluations of the rules.
    pub evaluation_interval: Duration,
    /// Names of groups in the order of their evaluation.
    pub group_order: Vec<String>,
    /// Two numbers that differ in their last bit are equal.
    pub fuzzy: bool,
    pub tests: Vec<Test>,
}

/// Series, and what is expected of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Test {
    /// Empty when it has none.
    pub name: String,
    pub place: Place,
    /// Between two values of a series.
    pub interval: Duration,
    pub start: Timestamp,
    pub external_labels: Vec<(String, String)>,
    pub external_url: String,
    pub series: Vec<Input>,
    /// Why the series cannot be had, although they are right.
    pub refused: Option<String>,
    pub alerts: Vec<AlertCase>,
    pub expressions: Vec<ExprCase>,
}

/// One input series: its samples by the number of their interval.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    pub labels: Labels,
    pub values: Vec<(i64, f64)>,
}

/// Which alerts must fire.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertCase {
    pub place: Place,
    /// After the start.
    pub at: Duration,
    pub name: String,
    pub expected: Vec<ExpectedAlert>,
    /// Only labels are compared.
    pub ignore_annotations: bool,
}

/// An alert without its `alertname`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ExpectedAlert {
    pub labels: Labels,
    /// By name.
    pub annotations: Vec<(String, String)>,
}

/// What an expression must yield.
#[derive(Clone, PartialEq, Debug)]
pub struct ExprCase {
    pub place: Place,
    /// After the start.
    pub at: Duration,
    pub expr: String,
    pub expected: Vec<(Labels, f64)>,
    /// Why it cannot be tried, although it is right.
    pub refused: Option<String>,
}

/// What became of one case.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Name of the test, empty when it has none.
    pub test: String,
    pub place: Place,
    /// After the start of the test.
    pub at: Duration,
    pub subject: Subject,
    pub verdict: Verdict,
}

/// What was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    Expr(String),
    Alert(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Passed,
    /// One line for each sample or alert.
    Wrong {
        expected: Vec<String>,
        got: Vec<String>,
    },
    /// It has no answer.
    Error(String),
    /// Prometheus may have an answer; we say by name what is lacking.
    Refused(String),
}

#[cfg(test)]
mod tests;
