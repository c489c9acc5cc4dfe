//! Operators between two values.

use super::frame::Frame;
use super::query::{Evaluated, Grid, Out, Query};
use crate::model::query::no_value;
use crate::promql::ast::{Binary, BinaryOp, Span};

impl Query<'_> {
    pub fn binary(&self, binary: &Binary, grid: Grid, span: Span) -> Evaluated<Out> {
        let left = self.eval(&binary.left, grid)?;
        let right = self.eval(&binary.right, grid)?;
        self.work(grid.count)?;
        match (left, right) {
            (Out::Scalar(mut left), Out::Scalar(right)) => {
                for (left, right) in left.iter_mut().zip(right) {
                    *left = scalars(binary.op, *left, right);
                }
                Ok(Out::Scalar(left))
            }
            (Out::Frame(left), Out::Scalar(right)) => {
                self.with_scalar(binary, left, span, |step, value| (value, right[step]))
            }
            (Out::Scalar(left), Out::Frame(right)) => {
                self.with_scalar(binary, right, span, |step, value| (left[step], value))
            }
            (Out::Frame(left), Out::Frame(right)) => {
                let found = match binary.op {
                    BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => self.set(binary, left, right, span)?,
                    _ => self.pairs(binary, left, right, grid, span)?,
                };
                Ok(Out::Frame(found))
            }
        }
    }

    /// A comparison keeps the samples for which it holds, with their names; all else
    /// makes new values. `sides` puts a sample and the scalar in order.
    fn with_scalar(
        &self,
        binary: &Binary,
        mut frame: Frame,
        span: Span,
        sides: impl Fn(usize, f64) -> (f64, f64),
    ) -> Evaluated<Out> {
        self.work(frame.cells.len())?;
        let op = binary.op;
        if op.is_comparison() && !binary.bool {
            frame.map_steps(|step, value| {
                let (left, right) = sides(step, value);
                if compares(op, left, right) { value } else { no_value() }
            });
            return Ok(Out::Frame(frame));
        }
        frame.map_steps(|step, value| {
            let (left, right) = sides(step, value);
            scalars(op, left, right)
        });
        Ok(Out::Frame(self.derived(frame, span)?))
    }
}

pub(super) fn compares(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::Less => left < right,
        BinaryOp::GreaterOrEqual => left >= right,
        BinaryOp::LessOrEqual => left <= right,
        _ => false,
    }
}

/// Of two numbers; comparisons give 0 or 1.
pub(super) fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide => left / right,
        BinaryOp::Modulo => left % right,
        BinaryOp::Power => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        op => f64::from(u8::from(compares(op, left, right))),
    }
}
