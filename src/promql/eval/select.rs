//! Selectors: asking the source, and the newest sample at each step.

use super::frame::Frame;
use super::query::{Evaluated, Grid, Query, millis};
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::{At, Selector, Shift, Span};
use crate::promql::source::{Request, Series};

/// To which times the steps of a grid look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The time that all look to.
    pinned: Option<i64>,
    offset: i64,
}

impl Look {
    pub fn time(self, grid: Grid, step: usize) -> i64 {
        self.pinned.unwrap_or_else(|| grid.time(step)).saturating_sub(self.offset)
    }

    /// Whether all steps look to the same time.
    pub fn is_pinned(self) -> bool {
        self.pinned.is_some()
    }
}

impl Query<'_> {
    pub fn look(&self, shift: Shift) -> Look {
        let pinned = shift.at.map(|at| match at {
            At::Time(ms) => ms,
            At::Start => self.start,
            At::End => self.end,
        });
        Look { pinned, offset: shift.offset }
    }

    /// The series of a selector for windows of so many milliseconds.
    pub fn series(
        &self,
        selector: &Selector,
        grid: Grid,
        window: i64,
        newest_only: bool,
        span: Span,
    ) -> Evaluated<Vec<Series>> {
        let look = self.look(selector.shift);
        let (first, last) = (look.time(grid, 0), look.time(grid, grid.count - 1));
        let request = Request {
            matchers: &selector.matchers,
            from: first.saturating_sub(window),
            to: last,
            newest_only,
            max_series: self.limits.max_series,
            max_samples: self.left(),
        };
        let series =
            self.source().select(&request).map_err(|error| super::EvalError::from(error).at(span))?;
        let samples = series.iter().map(|one| one.samples.len() + one.rows.len()).sum();
        self.charge(samples).map_err(|error| error.at(span))?;
        Ok(series)
    }

    /// The newest sample of each series at each step, if it is not too old and no marker
    /// says that the series ended; `value` makes the cell of its time and value.
    pub fn newest(
        &self,
        selector: &Selector,
        grid: Grid,
        value: impl Fn(i64, f64) -> f64,
        span: Span,
    ) -> Evaluated<Frame> {
        let lookback = millis(self.limits.lookback);
        let look = self.look(selector.shift);
        let newest_only = grid.count == 1 || look.is_pinned();
        let series = self.series(selector, grid, lookback, newest_only, span)?;
        self.charge(series.len().saturating_mul(grid.count))?;
        let mut frame = Frame::empty(grid);
        frame.labels.reserve(series.len());
        frame.cells.reserve(series.len() * grid.count);
        let steps = if look.is_pinned() { 1 } else { grid.count };
        for Series { labels, rows, samples } in series {
            let begin = frame.cells.len();
            let mut any = false;
            // Samples, and rows, up to the time of the step.
            let (mut passed, mut rows_passed) = (0, 0);
            for step in 0..steps {
                let at = look.time(grid, step);
                passed += advance(&samples[passed..], |sample| sample.0 <= at);
                rows_passed += advance(&rows[rows_passed..], |row| row.end <= at);
                let sample = match (passed.checked_sub(1), rows_passed.checked_sub(1)) {
                    (Some(newest), _) => Some(samples[newest]).filter(|(time, _)| *time > at - lookback),
                    // A row of an hour stands for its hour, however short the look-back.
                    (None, Some(newest)) => Some(rows[newest])
                        .filter(|row| row.end > at - lookback.max(row.end - row.start))
                        .map(|row| (row.end, row.last)),
                    (None, None) => None,
                };
                let sample = sample.filter(|(_, value)| !is_no_value(*value));
                any |= sample.is_some();
                frame.cells.push(sample.map_or(no_value(), |(time, found)| value(time, found)));
            }
            if !any {
                frame.cells.truncate(begin);
                continue;
            }
            if steps < grid.count {
                let cell = frame.cells[begin];
                frame.cells.resize(begin + grid.count, cell);
            }
            frame.labels.push(labels);
        }
        Ok(frame)
    }
}

/// How many of the first items are passed: a few one by one, then by halves. Steps are
/// mostly close to each other, while the first may be far from the beginning.
pub(super) fn advance<T>(items: &[T], passed: impl Fn(&T) -> bool) -> usize {
    const FEW: usize = 8;
    match items.iter().take(FEW).position(|item| !passed(item)) {
        Some(at) => at,
        None if items.len() <= FEW => items.len(),
        None => items.partition_point(passed),
    }
}
