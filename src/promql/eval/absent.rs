//! `absent` and `absent_over_time`: a sample where there is none.

use super::frame::Frame;
use super::query::{Evaluated, Grid, Query};
use crate::model::query::no_value;
use crate::model::selector::MatchOp;
use crate::promql::ast::{Expr, Kind};
use crate::promql::labels::{Labels, NAME};

impl Query<'_> {
    pub fn absent(&self, argument: &Expr, grid: Grid) -> Evaluated<Frame> {
        let frame = self.frame(argument, grid)?;
        let present: Vec<bool> = (0..grid.count).map(|step| frame.any_at(step)).collect();
        self.charge(frame.cells.len())?;
        Ok(inverse(argument, &present, grid))
    }

    pub fn absent_over_time(&self, argument: &Expr, grid: Grid) -> Evaluated<Frame> {
        let present = self.windows(argument, grid)?.any(grid);
        Ok(inverse(argument, &present, grid))
    }
}

fn inverse(argument: &Expr, present: &[bool], grid: Grid) -> Frame {
    let mut frame = Frame::empty(grid);
    if !present.iter().all(|present| *present) {
        let cells: Vec<f64> = present.iter().map(|present| if *present { no_value() } else { 1.0 }).collect();
        frame.push(labels(argument), &cells);
    }
    frame
}

/// What the selector says of the labels for certain: `=`, and nothing of that label
/// behind it. Of an expression nothing is certain.
fn labels(argument: &Expr) -> Labels {
    let (Kind::Selector(selector) | Kind::Range(selector, _)) = &argument.bare().kind else {
        return Labels::empty();
    };
    let mut certain: Vec<(&str, Option<&str>)> = Vec::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.label != NAME) {
        let equal = matcher.op == MatchOp::Equal;
        match certain.iter_mut().find(|(label, _)| *label == matcher.label) {
            Some((_, value)) => *value = None,
            None if equal => certain.push((&matcher.label, Some(&matcher.value))),
            None => {}
        }
    }
    Labels::new(certain.into_iter().filter_map(|(label, value)| Some((label, value?))))
}
