//! One series of a range answer while its samples come in, in any order.
//!
//! Point `i` is the last sample in `(t - lookback, t]` with `t = start + i *
//! step` (left-open, as Prometheus 3 does). Samples are put into the bucket of
//! the first step that sees them; one pass at the end carries values on. One
//! would get it wrong by carrying from point to point: a value three steps old
//! may be older than the lookback.

use std::ops::Range;

use super::column::{Values, value_of};
use super::cuts;
use super::cuts::{Piece, Places};
use super::stored::Sink;
use super::tier;
use super::tier::Row;
use crate::model::query::{RangeQuery, RangeSeries, is_no_value, no_value};
use crate::store::StoreError;

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

    pub(super) fn at(&self, index: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    /// Time of the last point.
    pub(super) fn end(&self) -> i64 {
        self.count.checked_sub(1).map_or(NONE, |last| self.at(last))
    }

    /// The first point that sees a sample at `at`.
    pub(super) fn index(&self, at: i64) -> Option<usize> {
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

    fn take(&mut self, steps: &Steps, at: i64, value: f64) {
        self.put(steps, at, value, value, value, false);
    }

    /// Takes a column whose times were cut into `pieces`; whether it had a value there.
    fn take_column(
        &mut self,
        steps: &Steps,
        pieces: &[Piece],
        times: &[i64],
        runs: &[Range<u32>],
        values: Values<'_>,
    ) -> bool {
        let mut places = Places::new(runs);
        let mut any = false;
        for piece in pieces {
            let Some((range, last)) = places.of(&piece.positions) else { continue };
            let (Some(value), Some(at)) = (values.at(range.end - 1), times.get(last)) else { continue };
            any = true;
            let (index, at) = (piece.index, *at);
            if piece.in_step {
                let found = Extremes::of(values, range);
                let more = found.first && self.at[index] > steps.at(index).saturating_sub(steps.step);
                self.many |= found.later || more;
                tier::widen(&mut self.min[index], &mut self.max[index], found.low, found.high);
            }
            // As in `put`; the samples of a piece ascend.
            if at > self.at[index] {
                self.at[index] = at;
                self.points[index] = value;
            }
        }
        any
    }

    fn take_row(&mut self, steps: &Steps, row: &Row) {
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

/// The extremes of some values of a column, `NaN` where there are only `NaN`s.
struct Extremes {
    low: f64,
    high: f64,
    /// The first is a sample, and one of those after it is: not a marker of the end.
    first: bool,
    later: bool,
}

impl Extremes {
    fn of(values: Values<'_>, range: Range<usize>) -> Self {
        let many = range.len() > 1;
        match values {
            Values::Same(value) => {
                let is_sample = !is_no_value(value);
                Self { low: value, high: value, first: is_sample, later: is_sample && many }
            }
            Values::Numbers(numbers, scale) => {
                let all = numbers.get(range).unwrap_or(&[]);
                let (mut low, mut high) = (i64::MAX, i64::MIN);
                for number in all {
                    low = low.min(*number);
                    high = high.max(*number);
                }
                let (low, high) = (value_of(low, scale), value_of(high, scale));
                Self { low, high, first: true, later: many }
            }
            Values::Floats(floats) => {
                let all = floats.get(range).unwrap_or(&[]);
                let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
                // Comparing, so that of -0.0 and 0.0 the first stays, as in `widen`.
                for value in all {
                    low = if *value < low { *value } else { low };
                    high = if *value > high { *value } else { high };
                }
                if low > high {
                    (low, high) = (f64::NAN, f64::NAN);
                }
                let first = all.first().is_some_and(|value| !is_no_value(*value));
                let later = all.iter().skip(1).any(|value| !is_no_value(*value));
                Self { low, high, first, later }
            }
        }
    }
}

/// All series of a range answer while they are read.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    steps: &'a Steps,
    pub lines: Vec<Line>,
    pieces: Vec<Piece>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(steps: &'a Steps, count: usize) -> Self {
        Self { steps, lines: (0..count).map(|_| Line::new(steps)).collect(), pieces: Vec::new() }
    }
}

impl Sink for Lines<'_> {
    fn group(&mut self, times: &[i64], window: &Range<i64>) {
        cuts::cut(self.steps, times, window, &mut self.pieces);
    }

    fn column(
        &mut self,
        index: usize,
        times: &[i64],
        runs: &[Range<u32>],
        values: Values<'_>,
    ) -> Result<bool, StoreError> {
        let Some(line) = self.lines.get_mut(index) else { return Ok(false) };
        Ok(line.take_column(self.steps, &self.pieces, times, runs, values))
    }

    fn rows(&mut self, index: usize, rows: &[Row], _: i64) -> Result<(), StoreError> {
        if let Some(line) = self.lines.get_mut(index) {
            rows.iter().for_each(|row| line.take_row(self.steps, row));
        }
        Ok(())
    }

    fn sample(&mut self, index: usize, at: i64, value: f64) -> Result<(), StoreError> {
        if let Some(line) = self.lines.get_mut(index) {
            line.take(self.steps, at, value);
        }
        Ok(())
    }
}
