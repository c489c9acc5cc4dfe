//! Arithmetic and comparisons of two instant vectors.
//!
//! Samples belong together when their matching labels are equal. Rows are brought
//! together once; at each step then at most one row of a group may have a sample on the
//! "one" side, and on the other side too unless `group_left` or `group_right` allows
//! more. Several rows of a group are no error while their samples alternate.

use super::aggregate::Groups;
use super::binary::{compares, scalars};
use super::error::EvalError;
use super::frame::Frame;
use super::query::{Evaluated, Grid, Query};
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::{Binary, Group, Matching, Span};
use crate::promql::labels::Labels;
use crate::promql::subset::Subset;

/// Both vectors, with the side of which one sample matches on the right.
struct Sides<'a> {
    binary: &'a Binary,
    subset: Subset<'a>,
    include: &'a [String],
    /// The sides were exchanged: `group_right`.
    swapped: bool,
    many: Frame,
    one: Frame,
    span: Span,
}

pub(super) fn subset(matching: &Matching) -> Subset<'_> {
    if matching.on { Subset::only(&matching.labels) } else { Subset::without(&matching.labels) }
}

impl Query<'_> {
    pub fn pairs(
        &self,
        binary: &Binary,
        left: Frame,
        right: Frame,
        grid: Grid,
        span: Span,
    ) -> Evaluated<Frame> {
        if left.labels.is_empty() || right.labels.is_empty() {
            return Ok(Frame::empty(grid));
        }
        let subset = subset(&binary.matching);
        let (many, one, swapped, include): (_, _, _, &[String]) = match &binary.matching.group {
            Group::One => (left, right, false, &[]),
            Group::Left(include) => (left, right, false, include),
            Group::Right(include) => (right, left, true, include),
        };
        let split = many.labels.len();
        let sides = Sides { binary, subset, include, swapped, many, one, span };
        let all: Vec<Labels> = sides.many.labels.iter().chain(&sides.one.labels).cloned().collect();
        let groups = Groups::new(&all, subset);
        self.charge(split.saturating_mul(grid.count))?;
        let mut found = Frame::empty(grid);
        found.labels.reserve(split);
        found.cells.reserve(split * grid.count);
        // A vector without samples at a step matches nothing, not even wrongly.
        let alive: Vec<bool> = match grid.count {
            1 => vec![sides.many.any_at(0) && sides.one.any_at(0)],
            _ => (0..grid.count).map(|step| sides.many.any_at(step) && sides.one.any_at(step)).collect(),
        };
        for rows in groups.iter() {
            let (many, one) = rows.split_at(rows.partition_point(|row| *row < split));
            self.work((many.len() + one.len()).saturating_mul(grid.count))?;
            let partners = sides.partners(one, split, &alive)?;
            if !many.is_empty() && !one.is_empty() {
                sides.group(many, &partners, split, &mut found)?;
            }
        }
        self.charge(found.cells.len().saturating_sub(split.saturating_mul(grid.count)))?;
        // One to one, the labels of the group tell results apart already.
        if binary.matching.group == Group::One { Ok(found) } else { self.united(found, span) }
    }
}

impl Sides<'_> {
    fn one(&self, row: usize, split: usize, step: usize) -> f64 {
        self.one.cells[(row - split) * self.one.steps + step]
    }

    /// Which row of the "one" side has the sample, step by step.
    fn partners(&self, one: &[usize], split: usize, alive: &[bool]) -> Evaluated<Vec<Option<usize>>> {
        let mut partners = vec![None; alive.len()];
        for (step, partner) in partners.iter_mut().enumerate().filter(|(step, _)| alive[*step]) {
            for row in one {
                if is_no_value(self.one(*row, split, step)) {
                    continue;
                }
                if let Some(other) = partner.replace(*row) {
                    return Err(self.twice(other - split, *row - split));
                }
            }
        }
        Ok(partners)
    }

    fn twice(&self, first: usize, second: usize) -> EvalError {
        let [first, second] = [first, second].map(|row| &self.one.labels[row]);
        let (group, side) = (self.subset.of(first), if self.swapped { "left" } else { "right" });
        let words = format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{second}, {first}]; many-to-many matching not allowed: matching labels must be unique on one side"
        );
        EvalError::execution(self.span, words)
    }

    /// The results of one group, appended to `found`.
    fn group(
        &self,
        many: &[usize],
        partners: &[Option<usize>],
        split: usize,
        found: &mut Frame,
    ) -> Evaluated<()> {
        let single = self.binary.matching.group == Group::One;
        let begin = found.labels.len();
        // Where a row found a partner, whether or not the comparison held.
        let mut matched: Vec<(Labels, Vec<bool>)> = Vec::new();
        for row in many {
            let labels = &self.many.labels[*row];
            let mut open: Option<(usize, usize)> = None;
            let mut hits = if many.len() > 1 { vec![false; partners.len()] } else { Vec::new() };
            for (step, value) in self.many.row(*row).iter().enumerate() {
                let Some(partner) = partners[step].filter(|_| !is_no_value(*value)) else { continue };
                if let Some(hit) = hits.get_mut(step) {
                    *hit = true;
                }
                let result = self.result(*value, self.one(partner, split, step));
                if open.is_none_or(|(_, with)| with != partner && !self.include.is_empty()) {
                    let labels = self.labels(labels, &self.one.labels[partner - split]);
                    open = Some((found.push_bare(labels), partner));
                }
                if let Some(cell) = open.and_then(|(at, _)| found.row_mut(at).get_mut(step)) {
                    *cell = result;
                }
            }
            if let Some((at, _)) = open.filter(|_| many.len() > 1) {
                matched.push((found.labels[at].clone(), hits));
            }
        }
        if many.len() > 1 {
            self.check_unique(single, matched)?;
        }
        if single && found.labels.len() > begin + 1 {
            self.join(begin, found);
        }
        Ok(())
    }

    /// Rows of one group that may not have samples at one step: all of them, or, where
    /// several may match, those with equal labels.
    fn check_unique(&self, single: bool, mut matched: Vec<(Labels, Vec<bool>)>) -> Evaluated<()> {
        matched.sort_by(|a, b| a.0.cmp(&b.0));
        for at in 1..matched.len() {
            let (before, rest) = matched.split_at_mut(at);
            let (Some(before), Some(own)) = (before.last(), rest.first_mut()) else { continue };
            if !single && before.0 != own.0 {
                continue;
            }
            for (hit, earlier) in own.1.iter_mut().zip(&before.1) {
                if *hit && *earlier {
                    let hint = if single {
                        "many-to-one matching must be explicit (group_left/group_right)"
                    } else {
                        "grouping labels must ensure unique matches"
                    };
                    let words = format!("multiple matches for labels of {}: {hint}", self.subset.of(&own.0));
                    return Err(EvalError::execution(self.span, words));
                }
                *hit |= *earlier;
            }
        }
        Ok(())
    }

    /// One to one, rows that take turns are one result where their labels are equal.
    fn join(&self, begin: usize, found: &mut Frame) {
        let steps = found.steps;
        let (labels, cells) = (found.labels.split_off(begin), found.cells.split_off(begin * steps));
        for (labels, row) in labels.into_iter().zip(cells.chunks_exact(steps.max(1))) {
            let same = (begin..found.labels.len()).find(|at| found.labels[*at] == labels);
            let at = same.unwrap_or_else(|| found.push_bare(labels));
            for (cell, value) in
                found.row_mut(at).iter_mut().zip(row).filter(|(_, value)| !is_no_value(**value))
            {
                *cell = *value;
            }
        }
    }

    fn result(&self, many: f64, one: f64) -> f64 {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let op = self.binary.op;
        if !op.is_comparison() || self.binary.bool {
            return scalars(op, left, right);
        }
        if compares(op, left, right) { left } else { no_value() }
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let keeps_name = self.binary.op.is_comparison() && !self.binary.bool;
        let own = if keeps_name { many.clone() } else { many.derived() };
        let matching = &self.binary.matching;
        if matching.group != Group::One {
            return self.include.iter().fold(own, |labels, name| {
                if labels.value(name) == one.value(name) {
                    labels
                } else {
                    labels.with(name, one.value(name))
                }
            });
        }
        if matching.on {
            return own.filtered(|name| matching.labels.iter().any(|label| label == name));
        }
        if matching.labels.is_empty() {
            own
        } else {
            own.filtered(|name| !matching.labels.iter().any(|l| l == name))
        }
    }
}
