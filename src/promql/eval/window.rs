//! Windows: the samples that a function over a range gets at each step.
//!
//! A window is open on the left: `(t - range, t]`. Its two ends only ever move forward,
//! so each is a cursor. Where only rows of a tier are left, functions of extremes, sums
//! and counts take what the row knows of its samples; to all others a row is one
//! sample, the last one.

use std::borrow::Cow;

use super::frame::Frame;
use super::math::Parameter;
use super::query::{Evaluated, Grid, Query, misplaced};
use super::rate;
use super::select::{Look, advance};
use super::stats;
use crate::model::query::{TierRow, is_no_value, no_value};
use crate::promql::ast::{Expr, Kind, Span, Subquery};
use crate::promql::function::Window;
use crate::promql::labels::Labels;

/// All windows of a range or a subquery.
#[derive(Debug)]
pub(super) struct Windows {
    pub series: Vec<Windowed>,
    pub look: Look,
    /// Milliseconds.
    pub range: i64,
}

/// A series without its staleness markers.
#[derive(Debug)]
pub(super) struct Windowed {
    pub labels: Labels,
    rows: Vec<TierRow>,
    samples: Vec<(i64, f64)>,
}

/// The part of a series that is in a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub rows: &'a [TierRow],
    pub samples: &'a [(i64, f64)],
    /// The window is `(start, end]`.
    pub start: i64,
    pub end: i64,
}

impl<'a> View<'a> {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.samples.is_empty()
    }

    /// The samples, rows as their last ones.
    fn points(&self) -> Cow<'a, [(i64, f64)]> {
        if self.rows.is_empty() {
            return Cow::Borrowed(self.samples);
        }
        let rows = self.rows.iter().map(|row| (row.end, row.last)).filter(|(_, last)| !is_no_value(*last));
        Cow::Owned(rows.chain(self.samples.iter().copied()).collect())
    }

    /// A value of each row, then those of the samples.
    fn values(&self, row: impl Fn(&TierRow) -> f64) -> impl Iterator<Item = f64> {
        let rows = self.rows.iter().map(row).filter(|value| !is_no_value(*value));
        rows.chain(self.samples.iter().map(|(_, value)| *value))
    }
}

/// Both ends of a window on its way through a series.
#[derive(Clone, Copy, Default)]
struct Ends {
    samples: (usize, usize),
    rows: (usize, usize),
}

impl Ends {
    /// Moves to the window `(start, end]`, which is not before the last one.
    fn view<'a>(&mut self, series: &'a Windowed, start: i64, end: i64) -> View<'a> {
        let (samples, rows) = (series.samples.as_slice(), series.rows.as_slice());
        self.samples.0 += advance(&samples[self.samples.0..], |sample| sample.0 <= start);
        self.samples.1 = self.samples.1.max(self.samples.0);
        self.samples.1 += advance(&samples[self.samples.1..], |sample| sample.0 <= end);
        self.rows.0 += advance(&rows[self.rows.0..], |row| row.end <= start);
        self.rows.1 = self.rows.1.max(self.rows.0);
        self.rows.1 += advance(&rows[self.rows.1..], |row| row.end <= end);
        let rows = &rows[self.rows.0..self.rows.1];
        View { rows, samples: &samples[self.samples.0..self.samples.1], start, end }
    }
}

impl Windows {
    /// The window of one step.
    pub fn at<'a>(&self, series: &'a Windowed, grid: Grid, step: usize) -> View<'a> {
        let end = self.look.time(grid, step);
        Ends::default().view(series, end.saturating_sub(self.range), end)
    }

    /// Whether any series has something in the window of each step.
    pub fn any(&self, grid: Grid) -> Vec<bool> {
        let mut any = vec![false; grid.count];
        for series in &self.series {
            let mut ends = Ends::default();
            for (step, any) in any.iter_mut().enumerate() {
                let end = self.look.time(grid, step);
                *any |= !ends.view(series, end.saturating_sub(self.range), end).is_empty();
            }
        }
        any
    }
}

impl Query<'_> {
    pub fn windows(&self, expr: &Expr, grid: Grid) -> Evaluated<Windows> {
        let expr = expr.bare();
        match &expr.kind {
            Kind::Range(selector, range) => {
                let look = self.look(selector.shift);
                let found = self.series(selector, grid, *range, false, expr.span)?;
                let series = found.into_iter().map(|mut one| {
                    if one.samples.iter().any(|(_, value)| is_no_value(*value)) {
                        one.samples.retain(|(_, value)| !is_no_value(*value));
                    }
                    Windowed { labels: one.labels, rows: one.rows, samples: one.samples }
                });
                Ok(Windows { series: series.collect(), look, range: *range })
            }
            Kind::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Err(misplaced(expr)),
        }
    }

    /// The inner expression at all multiples of the step that any window looks at.
    fn subquery(&self, subquery: &Subquery, grid: Grid) -> Evaluated<Windows> {
        let look = self.look(subquery.shift);
        let step =
            subquery.step.unwrap_or_else(|| super::query::millis(self.limits.default_subquery_step)).max(1);
        let before = look.time(grid, 0).saturating_sub(subquery.range);
        let start = before.div_euclid(step).saturating_add(1).saturating_mul(step);
        let end = look.time(grid, grid.count - 1);
        let mut windows = Windows { series: Vec::new(), look, range: subquery.range };
        if start > end {
            return Ok(windows);
        }
        let inner = self.grid(start, end, step)?;
        let frame = self.frame(&subquery.expr, inner)?;
        for series in frame.into_series(inner) {
            self.charge(series.points.len())?;
            windows.series.push(Windowed { labels: series.labels, rows: Vec::new(), samples: series.points });
        }
        Ok(windows)
    }

    /// A function of the samples in each window.
    pub fn over_time(
        &self,
        function: Window,
        windows: &Windows,
        parameter: &Parameter,
        grid: Grid,
        span: Span,
    ) -> Evaluated<Frame> {
        self.charge(windows.series.len().saturating_mul(grid.count))?;
        let mut frame = Frame::empty(grid);
        frame.labels.reserve(windows.series.len());
        frame.cells.reserve(windows.series.len() * grid.count);
        // Only a prediction asks what time it is.
        let once = windows.look.is_pinned() && function != Window::PredictLinear && parameter.is_same();
        let mut scratch = Vec::new();
        for series in &windows.series {
            let begin = frame.cells.len();
            let (mut ends, mut any) = (Ends::default(), false);
            for step in 0..if once { 1 } else { grid.count } {
                let end = windows.look.time(grid, step);
                let view = ends.view(series, end.saturating_sub(windows.range), end);
                self.work(1 + view.samples.len())?;
                let found = if view.is_empty() {
                    None
                } else {
                    apply(function, &view, parameter.at(step), grid.time(step), &mut scratch)
                };
                any |= found.is_some();
                frame.cells.push(found.unwrap_or_else(no_value));
            }
            if !any {
                frame.cells.truncate(begin);
                continue;
            }
            if once {
                let cell = frame.cells[begin];
                frame.cells.resize(begin + grid.count, cell);
            }
            frame.labels.push(series.labels.clone());
        }
        if matches!(function, Window::First | Window::Last) { Ok(frame) } else { self.derived(frame, span) }
    }
}

/// The function's value for a window that is not empty, if it has one; `now` is the time
/// of the step.
fn apply(function: Window, view: &View<'_>, parameter: f64, now: i64, scratch: &mut Vec<f64>) -> Option<f64> {
    // Of a row: what it knows of its samples.
    let sums = || {
        let rows = view
            .rows
            .iter()
            .fold((0.0, 0.0), |(sum, count), row| (sum + row.sum, count + f64::from(row.count)));
        (rows, view.samples.len() as f64)
    };
    match function {
        Window::Present => Some(1.0),
        Window::Count => {
            let ((_, of_rows), of_samples) = sums();
            Some(of_rows + of_samples)
        }
        Window::Sum => Some(stats::sum(view.values(|row| row.sum))),
        Window::Avg if view.rows.is_empty() => Some(stats::average(view.values(|row| row.sum))),
        Window::Avg => {
            let ((_, of_rows), of_samples) = sums();
            Some(stats::sum(view.values(|row| row.sum)) / (of_rows + of_samples))
        }
        Window::Max => Some(stats::extreme(view.values(|row| row.max), true)),
        Window::Min => Some(stats::extreme(view.values(|row| row.min), false)),
        _ => {
            let points = view.points();
            let points = points.as_ref();
            let values = points.iter().map(|(_, value)| *value);
            match function {
                Window::First => values.into_iter().next(),
                Window::Last => points.last().map(|(_, value)| *value),
                Window::Stdvar => some_of(points, stats::variance_compensated(values)),
                Window::Stddev => some_of(points, stats::variance_compensated(values).sqrt()),
                Window::Quantile => {
                    scratch.clear();
                    scratch.extend(values);
                    some_of(points, stats::quantile(parameter, scratch))
                }
                Window::Changes => some_of(points, rate::changes(points)),
                Window::Resets => some_of(points, rate::resets(points)),
                Window::Deriv => rate::slope(points),
                Window::PredictLinear => rate::predicted(points, now, parameter),
                Window::Irate => rate::last_two(points, true),
                Window::Idelta => rate::last_two(points, false),
                Window::Rate => rate::extrapolated(points, view, true, seconds(view)),
                Window::Increase => rate::extrapolated(points, view, true, 1.0),
                _ => rate::extrapolated(points, view, false, 1.0),
            }
        }
    }
}

fn some_of(points: &[(i64, f64)], value: f64) -> Option<f64> {
    (!points.is_empty()).then_some(value)
}

fn seconds(view: &View<'_>) -> f64 {
    (view.end - view.start) as f64 / 1000.0
}
