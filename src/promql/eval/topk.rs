//! `topk` and `bottomk`: the samples of a group that stand out, with all their labels.

use super::aggregate::{Groups, subset};
use super::error::EvalError;
use super::frame::Frame;
use super::query::{Evaluated, Query};
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::{Aggregate, AggregateOp, Span};

impl Query<'_> {
    /// Drops the others step by step. At a single step the rows come out in order.
    pub fn topk(&self, aggregate: &Aggregate, counts: &[f64], frame: Frame, span: Span) -> Evaluated<Frame> {
        if let Some(odd) = counts.iter().find(|count| count.is_nan() || **count >= i64::MAX as f64) {
            let words = format!("`{}` takes a count, found {odd}", aggregate.op.words());
            return Err(EvalError::execution(span, words));
        }
        let largest = aggregate.op == AggregateOp::Topk;
        let mut frame = frame;
        let groups = Groups::new(&frame.labels, subset(aggregate));
        let mut order = Vec::new();
        let mut kept: Vec<usize> = Vec::new();
        for rows in groups.iter() {
            for (step, count) in counts.iter().enumerate() {
                self.work(rows.len())?;
                order.clear();
                let cell = |row: usize| frame.cells[row * frame.steps + step];
                order.extend(
                    rows.iter().map(|row| (cell(*row), *row)).filter(|(value, _)| !is_no_value(*value)),
                );
                order.sort_by(|(a, _), (b, _)| {
                    let by_value = if largest { b.total_cmp(a) } else { a.total_cmp(b) };
                    a.is_nan().cmp(&b.is_nan()).then(by_value)
                });
                // A count below one, and a fraction of one, keeps nothing.
                let count = (*count as usize).min(order.len());
                kept.extend(order[..count].iter().map(|(_, row)| *row).filter(|_| frame.steps == 1));
                for (_, row) in &order[count..] {
                    frame.cells[row * frame.steps + step] = no_value();
                }
            }
        }
        if frame.steps != 1 {
            return Ok(frame);
        }
        let mut sorted = Frame { steps: 1, ..Frame::default() };
        for row in kept {
            sorted.push(frame.labels[row].clone(), frame.row(row));
        }
        Ok(sorted)
    }
}
