//! One series of a range answer while its samples come in, in any order.
//!
//! Point `i` is the last sample in `(t - lookback, t]` with `t = start + i *
//! step` (left-open, as Prometheus 3 does). Samples are put into the bucket of
//! the first step that sees them; one pass at the end carries values on. One
//! would get it wrong by carrying from point to point: a value three steps old
//! may be older than the lookback.

use super::tier;
use super::tier::Row;
use crate::model::query::{RangeQuery, RangeSeries, is_no_value, no_value};

/// No sample in this bucket.
const NONE: i64 = i64::MIN;

/// The times of the points, ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub start: i64,
    pub step: i64,
    pub lookback: i64,
    pub count: usize,
}

impl Steps {
    pub(super) fn new(query: &RangeQuery) -> Self {
        let start = query.start.millis();
        let step = i64::try_from(query.step.as_millis()).unwrap_or(i64::MAX).max(1);
        let span = i128::from(query.end.millis()) - i128::from(start);
        let count =
            if span < 0 { 0 } else { usize::try_from(span / i128::from(step) + 1).unwrap_or(usize::MAX) };
        let lookback = i64::try_from(query.lookback.as_millis()).unwrap_or(i64::MAX);
        Self { start, step, lookback, count }
    }

    fn at(&self, index: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    /// Time of the last point.
    pub(super) fn end(&self) -> i64 {
        self.count.checked_sub(1).map_or(NONE, |last| self.at(last))
    }

    /// The first point that sees a sample at `at`.
    fn index(&self, at: i64) -> Option<usize> {
        let after = at.saturating_sub(self.start).max(0);
        let index = usize::try_from((after as u64).div_ceil(self.step as u64)).ok()?;
        (index < self.count).then_some(index)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Line {
    points: Vec<f64>,
    /// Time of the sample in `points`, or [`NONE`].
    at: Vec<i64>,
    min: Vec<f64>,
    max: Vec<f64>,
    /// Some bucket had more than one sample.
    many: bool,
}

impl Line {
    pub(super) fn new(steps: &Steps) -> Self {
        let empty = vec![no_value(); steps.count];
        Self {
            points: empty.clone(),
            at: vec![NONE; steps.count],
            min: empty.clone(),
            max: empty,
            many: false,
        }
    }

    pub(super) fn take(&mut self, steps: &Steps, at: i64, value: f64) {
        self.put(steps, at, value, value, value, false);
    }

    pub(super) fn take_row(&mut self, steps: &Steps, row: &Row) {
        self.put(steps, row.end, row.last, row.min, row.max, row.count > 1);
    }

    fn put(&mut self, steps: &Steps, at: i64, value: f64, low: f64, high: f64, many: bool) {
        let Some(index) = steps.index(at) else { return };
        let in_step = at > steps.at(index).saturating_sub(steps.step);
        if in_step && !is_no_value(value) {
            self.many |= many || self.at[index] > steps.at(index).saturating_sub(steps.step);
            tier::widen(&mut self.min[index], &mut self.max[index], low, high);
        }
        // The first of doubles counts: what is finer is taken in first.
        if at > self.at[index] {
            self.at[index] = at;
            self.points[index] = value;
        }
    }

    /// The series of the answer; `None` when no point has a value.
    pub(super) fn finish(mut self, steps: &Steps, key: String) -> Option<RangeSeries> {
        let mut carried = (NONE, no_value());
        let mut any = false;
        for index in 0..self.points.len() {
            if self.at[index] != NONE {
                carried = (self.at[index], self.points[index]);
            }
            let fresh = carried.0 > steps.at(index).saturating_sub(steps.lookback);
            let point = if fresh { carried.1 } else { no_value() };
            self.points[index] = point;
            any |= !is_no_value(point);
            if is_no_value(self.min[index]) {
                self.min[index] = point;
            }
            if is_no_value(self.max[index]) {
                self.max[index] = point;
            }
        }
        if !self.many {
            self.min = Vec::new();
            self.max = Vec::new();
        }
        any.then_some(RangeSeries { key, points: self.points, min: self.min, max: self.max })
    }
}
