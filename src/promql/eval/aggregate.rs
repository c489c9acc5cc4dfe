//! Aggregations: one sample for each group of labels.

use super::error::EvalError;
use super::frame::Frame;
use super::query::{Evaluated, Grid, Query, text};
use super::stats;
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::{Aggregate, AggregateOp, Span};
use crate::promql::labels::Labels;
use crate::promql::subset::{ByHash, Signed, Subset};

/// Rows by group: `rows[starts[g]..starts[g + 1]]` are those of group `g`, in order.
#[derive(Debug)]
pub(super) struct Groups {
    pub rows: Vec<usize>,
    starts: Vec<usize>,
}

impl Groups {
    pub fn new(labels: &[Labels], subset: Subset<'_>) -> Self {
        let mut places: ByHash<Signed<'_>, usize> = ByHash::default();
        let mut of_row = Vec::with_capacity(labels.len());
        let mut sizes: Vec<usize> = Vec::new();
        for labels in labels {
            let place = *places.entry(subset.sign(labels)).or_insert(sizes.len());
            if place == sizes.len() {
                sizes.push(0);
            }
            sizes[place] += 1;
            of_row.push(place);
        }
        let mut starts = Vec::with_capacity(sizes.len() + 1);
        let mut start = 0;
        for size in &sizes {
            starts.push(start);
            start += size;
        }
        let mut next = starts.clone();
        starts.push(start);
        let mut rows = vec![0; labels.len()];
        for (row, place) in of_row.into_iter().enumerate() {
            rows[next[place]] = row;
            next[place] += 1;
        }
        Self { rows, starts }
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn iter(&self) -> impl Iterator<Item = &[usize]> {
        self.starts.windows(2).map(|ends| self.rows.get(ends[0]..ends[1]).unwrap_or_default())
    }
}

pub(super) fn subset(aggregate: &Aggregate) -> Subset<'_> {
    if aggregate.without { Subset::without(&aggregate.labels) } else { Subset::only(&aggregate.labels) }
}

impl Query<'_> {
    pub fn aggregate(&self, aggregate: &Aggregate, grid: Grid, span: Span) -> Evaluated<Frame> {
        let parameter = match (&aggregate.parameter, aggregate.op) {
            (Some(label), AggregateOp::CountValues) => {
                return self.count_values(aggregate, text(label)?, grid, span);
            }
            (Some(parameter), _) => self.scalar(parameter, grid)?,
            (None, _) => Vec::new(),
        };
        let frame = self.frame(&aggregate.expr, grid)?;
        if matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk) {
            return self.topk(aggregate, &parameter, frame, span);
        }
        if aggregate.op == AggregateOp::Quantile {
            self.warn_of_quantiles(&parameter);
        }
        let subset = subset(aggregate);
        let groups = Groups::new(&frame.labels, subset);
        self.charge(groups.len().saturating_mul(grid.count))?;
        let mut found = Frame::empty(grid);
        found.labels.reserve(groups.len());
        found.cells.reserve(groups.len() * grid.count);
        let mut values = Vec::new();
        for rows in groups.iter() {
            self.work(rows.len().saturating_mul(grid.count))?;
            found.labels.push(rows.first().map_or_else(Labels::empty, |row| subset.of(&frame.labels[*row])));
            for step in 0..grid.count {
                values.clear();
                let cells = rows.iter().map(|row| frame.cells[row * frame.steps + step]);
                values.extend(cells.filter(|cell| !is_no_value(*cell)));
                let parameter = parameter.get(step).copied().unwrap_or(f64::NAN);
                found.cells.push(reduce(aggregate.op, parameter, &mut values));
            }
        }
        Ok(found)
    }

    /// How many samples of a group have each value, which becomes a label.
    fn count_values(&self, aggregate: &Aggregate, label: &str, grid: Grid, span: Span) -> Evaluated<Frame> {
        if label.is_empty() {
            return Err(EvalError::execution(
                span,
                "`count_values` needs the name of a label, found an empty text",
            ));
        }
        let mut labels = aggregate.labels.clone();
        if !aggregate.without {
            labels.push(label.to_owned());
        }
        let subset = if aggregate.without { Subset::without(&labels) } else { Subset::only(&labels) };
        let frame = self.frame(&aggregate.expr, grid)?;
        let mut places: ByHash<Labels, usize> = ByHash::default();
        let mut found = Frame::empty(grid);
        for (labels, row) in frame.rows() {
            for (step, value) in row.iter().enumerate().filter(|(_, value)| !is_no_value(**value)) {
                let group = subset.of(&labels.with(label, &written(*value)));
                let place = *places.entry(group.clone()).or_insert(found.labels.len());
                if place == found.labels.len() {
                    self.charge(grid.count)?;
                    found.push_bare(group);
                }
                if let Some(cell) = found.row_mut(place).get_mut(step) {
                    *cell = if is_no_value(*cell) { 1.0 } else { *cell + 1.0 };
                }
            }
            self.work(row.len())?;
        }
        Ok(found)
    }
}

/// A number as a label: digits without exponent.
fn written(value: f64) -> String {
    if value == f64::INFINITY {
        String::from("+Inf")
    } else if value == f64::NEG_INFINITY {
        String::from("-Inf")
    } else {
        value.to_string()
    }
}

fn reduce(op: AggregateOp, parameter: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return no_value();
    }
    let all = values.iter().copied();
    match op {
        AggregateOp::Sum => stats::sum(all),
        AggregateOp::Avg => stats::average(all),
        AggregateOp::Count => values.len() as f64,
        AggregateOp::Min => stats::extreme(all, false),
        AggregateOp::Max => stats::extreme(all, true),
        AggregateOp::Stdvar => stats::variance(all),
        AggregateOp::Stddev => stats::variance(all).sqrt(),
        AggregateOp::Quantile => stats::quantile(parameter, values),
        AggregateOp::Group | AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::CountValues => 1.0,
    }
}
