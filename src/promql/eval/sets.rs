//! `and`, `or`, `unless`: samples by whether the other side has their labels.

use super::aggregate::Groups;
use super::frame::Frame;
use super::pairs::subset;
use super::query::{Evaluated, Query};
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::{Binary, BinaryOp, Span};
use crate::promql::labels::Labels;

impl Query<'_> {
    pub fn set(&self, binary: &Binary, mut left: Frame, mut right: Frame, span: Span) -> Evaluated<Frame> {
        let (steps, split) = (left.steps, left.labels.len());
        let all: Vec<Labels> = left.labels.iter().chain(&right.labels).cloned().collect();
        let groups = Groups::new(&all, subset(&binary.matching));
        // Whether the side that decides has a sample of the group, step by step.
        let mut present = vec![false; steps];
        for rows in groups.iter() {
            self.work(rows.len().saturating_mul(steps))?;
            let (of_left, of_right) = rows.split_at(rows.partition_point(|row| *row < split));
            let of_right = of_right.iter().map(|row| row - split);
            present.fill(false);
            match binary.op {
                BinaryOp::Or => {
                    of_left.iter().for_each(|row| mark(&mut present, left.row(*row)));
                    of_right.for_each(|row| keep(right.row_mut(row), &present, false));
                }
                op => {
                    of_right.for_each(|row| mark(&mut present, right.row(row)));
                    of_left.iter().for_each(|row| keep(left.row_mut(*row), &present, op == BinaryOp::And));
                }
            }
        }
        if binary.op != BinaryOp::Or {
            return Ok(left);
        }
        left.labels.append(&mut right.labels);
        left.cells.append(&mut right.cells);
        self.united(left, span)
    }
}

fn mark(present: &mut [bool], row: &[f64]) {
    for (present, value) in present.iter_mut().zip(row) {
        *present |= !is_no_value(*value);
    }
}

/// Drops the cells whose presence on the other side is not as wanted.
fn keep(row: &mut [f64], present: &[bool], wanted: bool) {
    for (cell, present) in row.iter_mut().zip(present) {
        if *present != wanted {
            *cell = no_value();
        }
    }
}
