//! Instant vectors at all steps of a query: a row for each series, a cell for each step.
//!
//! The cells lie in one block, and a cell without a sample holds the staleness marker.
//! No computation makes that bit pattern: it is a signalling `NaN`, and arithmetic makes
//! quiet ones.

use std::collections::hash_map::Entry;

use super::error::EvalError;
use super::query::{Evaluated, Grid, Query};
use super::value::RangeSeries;
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::Span;
use crate::promql::labels::Labels;
use crate::promql::subset::ByHash;

#[derive(Debug, Default)]
pub(super) struct Frame {
    /// One for each row.
    pub labels: Vec<Labels>,
    /// Row after row.
    pub cells: Vec<f64>,
    /// Cells of a row.
    pub steps: usize,
}

impl Frame {
    pub fn empty(grid: Grid) -> Self {
        Self { steps: grid.count, ..Self::default() }
    }

    /// One row without labels.
    pub fn scalar(values: Vec<f64>) -> Self {
        Self { labels: vec![Labels::empty()], steps: values.len(), cells: values }
    }

    pub fn rows(&self) -> impl Iterator<Item = (&Labels, &[f64])> {
        self.labels.iter().zip(self.cells.chunks_exact(self.steps.max(1)))
    }

    pub fn row(&self, row: usize) -> &[f64] {
        self.cells.get(row * self.steps..(row + 1) * self.steps).unwrap_or_default()
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        self.cells.get_mut(row * self.steps..(row + 1) * self.steps).unwrap_or_default()
    }

    pub fn push(&mut self, labels: Labels, cells: &[f64]) {
        self.labels.push(labels);
        self.cells.extend_from_slice(cells);
    }

    /// Appends a row without samples and says where it is.
    pub fn push_bare(&mut self, labels: Labels) -> usize {
        self.labels.push(labels);
        self.cells.resize(self.labels.len() * self.steps, no_value());
        self.labels.len() - 1
    }

    /// Changes each sample.
    pub fn map(&mut self, change: impl Fn(f64) -> f64) {
        for cell in self.cells.iter_mut().filter(|cell| !is_no_value(**cell)) {
            *cell = change(*cell);
        }
    }

    /// Changes each sample by what is there at its step.
    pub fn map_steps(&mut self, change: impl Fn(usize, f64) -> f64) {
        for row in self.cells.chunks_exact_mut(self.steps.max(1)) {
            for (step, cell) in row.iter_mut().enumerate().filter(|(_, cell)| !is_no_value(**cell)) {
                *cell = change(step, *cell);
            }
        }
    }

    /// Whether any series has a sample at that step.
    pub fn any_at(&self, step: usize) -> bool {
        self.rows().any(|(_, row)| row.get(step).is_some_and(|cell| !is_no_value(*cell)))
    }

    pub fn into_series(self, grid: Grid) -> Vec<RangeSeries> {
        let mut series = Vec::with_capacity(self.labels.len());
        for (labels, row) in self.rows() {
            let present = grid.times().zip(row).filter(|(_, value)| !is_no_value(**value));
            let points: Vec<(i64, f64)> = present.map(|(at, value)| (at, *value)).collect();
            if !points.is_empty() {
                series.push(RangeSeries { labels: labels.clone(), points });
            }
        }
        series
    }
}

impl Query<'_> {
    /// Drops the metric's name from each row, which may make rows equal.
    pub fn derived(&self, mut frame: Frame, span: Span) -> Evaluated<Frame> {
        let alike = frame.labels.windows(2).all(|pair| pair[0].name() == pair[1].name());
        for labels in &mut frame.labels {
            *labels = labels.derived();
        }
        // Rows that differed in more than the name still do.
        if alike { Ok(frame) } else { self.united(frame, span) }
    }

    /// Joins rows with the same labels, which must not both have a sample at a step.
    pub fn united(&self, frame: Frame, span: Span) -> Evaluated<Frame> {
        let mut places: ByHash<&Labels, usize> = ByHash::default();
        places.reserve(frame.labels.len());
        let mut target = Vec::with_capacity(frame.labels.len());
        let mut count = 0;
        for labels in &frame.labels {
            target.push(match places.entry(labels) {
                Entry::Occupied(found) => *found.get(),
                Entry::Vacant(free) => {
                    count += 1;
                    *free.insert(count - 1)
                }
            });
        }
        if count == frame.labels.len() {
            return Ok(frame);
        }
        let mut united = Frame { steps: frame.steps, ..Frame::default() };
        for ((labels, row), place) in frame.rows().zip(target) {
            if place == united.labels.len() {
                united.push(labels.clone(), row);
                continue;
            }
            for (cell, value) in united.row_mut(place).iter_mut().zip(row) {
                if is_no_value(*value) {
                    continue;
                }
                if !is_no_value(*cell) {
                    let words =
                        format!("vector cannot contain metrics with the same labelset: {labels} twice");
                    return Err(EvalError::execution(span, words));
                }
                *cell = *value;
            }
        }
        Ok(united)
    }
}
