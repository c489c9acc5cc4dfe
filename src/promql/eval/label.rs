//! `label_replace` and `label_join`: labels made from labels.
//!
//! They look at rows only, never at values; so they are done once for a query.

use super::error::EvalError;
use super::frame::Frame;
use super::query::{Evaluated, Grid, Query, misplaced, text};
use crate::promql::ast::{Expr, Span};
use crate::promql::regex;

impl Query<'_> {
    /// `label_replace(v, target, replacement, source, regex)`: where the regex matches
    /// the whole source, the target becomes the replacement, with `$1` for groups.
    pub fn label_replace(&self, arguments: &[Expr], grid: Grid, span: Span) -> Evaluated<Frame> {
        let [vector, target, replacement, from, pattern] = arguments else {
            return Err(EvalError::execution(span, "`label_replace` takes five arguments"));
        };
        let regex = regex::compile(text(pattern)?).map_err(|reason| {
            EvalError::execution(pattern.span, format!("not a regular expression: {reason}"))
        })?;
        let (target, replacement, from) = (name(target)?, text(replacement)?, text(from)?);
        let mut frame = self.frame(vector, grid)?;
        let mut changed = false;
        for labels in &mut frame.labels {
            let Some(groups) = regex.captures(labels.value(from)) else { continue };
            let mut value = String::new();
            groups.expand(replacement, &mut value);
            if labels.value(target) != value {
                *labels = labels.with(target, &value);
                changed = true;
            }
        }
        if changed { self.united(frame, span) } else { Ok(frame) }
    }

    /// `label_join(v, target, separator, sources...)`.
    pub fn label_join(&self, arguments: &[Expr], grid: Grid, span: Span) -> Evaluated<Frame> {
        let [vector, target, separator, from @ ..] = arguments else {
            return Err(EvalError::execution(span, "`label_join` takes at least three arguments"));
        };
        let (target, separator) = (name(target)?, text(separator)?);
        let from = from.iter().map(name).collect::<Evaluated<Vec<&str>>>()?;
        let mut frame = self.frame(vector, grid)?;
        for labels in &mut frame.labels {
            let values: Vec<&str> = from.iter().map(|name| labels.value(name)).collect();
            let value = values.join(separator);
            *labels = labels.with(target, &value);
        }
        self.united(frame, span)
    }
}

/// The name of a label; any text but the empty one is one.
fn name(argument: &Expr) -> Evaluated<&str> {
    match text(argument) {
        Ok("") => {
            Err(EvalError::execution(argument.span, "expected the name of a label, found an empty text"))
        }
        Ok(name) => Ok(name),
        Err(_) => Err(misplaced(argument)),
    }
}
