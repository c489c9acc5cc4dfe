//! One query: its steps, its budget, and the walk down the tree.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::error::{ErrorKind, EvalError};
use super::frame::Frame;
use super::value::{Answer, Limits, RangeSeries, Sample, Value};
use crate::model::query::is_no_value;
use crate::promql::ast::{Expr, Kind, Type};
use crate::promql::labels::Labels;
use crate::promql::source::Source;

/// Points of work between two questions whether to stop.
const PORTION: usize = 32_768;
/// Warnings that are kept: one series more does not say more.
const WARNINGS: usize = 10;
/// Milliseconds: sums of a time and the durations of an expression stay in range.
const FARTHEST: i64 = i64::MAX / 8;

pub(super) type Evaluated<T> = Result<T, EvalError>;

/// The times at which a node is computed: `start`, `start + step`, ...
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub start: i64,
    pub step: i64,
    /// At least 1.
    pub count: usize,
}

impl Grid {
    pub fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |at| self.time(at))
    }

    pub fn time(self, at: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(at as i64))
    }
}

/// What a node computes to: a value for each step, or a frame.
#[derive(Debug)]
pub(super) enum Out {
    Scalar(Vec<f64>),
    Frame(Frame),
}

pub(super) struct Query<'a> {
    source: &'a dyn Source,
    pub limits: &'a Limits<'a>,
    /// First and last time of the whole query, which `@ start()` and `@ end()` mean.
    pub start: i64,
    pub end: i64,
    used: Cell<usize>,
    worked: Cell<usize>,
    warnings: RefCell<Vec<String>>,
}

/// The value of `expr` at one time.
///
/// # Errors
/// [`EvalError`], with the part of the expression where it is known.
pub fn instant(
    expr: &Expr,
    at_ms: i64,
    source: &dyn Source,
    limits: &Limits<'_>,
) -> Result<Answer<Value>, EvalError> {
    let query = Query::new(at_ms, at_ms, source, limits)?;
    let grid = Grid { start: at_ms, step: 1, count: 1 };
    let value = match expr.value_type() {
        Type::String => Value::Text(text(expr)?.to_owned()),
        Type::Matrix => Value::Matrix(query.matrix(expr, grid)?),
        Type::Scalar | Type::Vector => match query.eval(expr, grid)? {
            Out::Scalar(values) => Value::Scalar(values.first().copied().unwrap_or(f64::NAN)),
            Out::Frame(frame) => {
                let samples = frame.labels.into_iter().zip(frame.cells);
                let samples = samples.filter(|(_, value)| !is_no_value(*value));
                Value::Vector(samples.map(|(labels, value)| Sample { labels, value }).collect())
            }
        },
    };
    Ok(Answer { value, warnings: query.warnings.into_inner() })
}

/// The values of `expr` at `start`, `start + step`, up to `end`, by labels. Times in ms.
///
/// # Errors
/// [`EvalError`]; also where the expression is neither a scalar nor an instant vector.
pub fn range(
    expr: &Expr,
    start_ms: i64,
    end_ms: i64,
    step: Duration,
    source: &dyn Source,
    limits: &Limits<'_>,
) -> Result<Answer<Vec<RangeSeries>>, EvalError> {
    let found = expr.value_type();
    if !matches!(found, Type::Scalar | Type::Vector) {
        let words =
            format!("a range of times takes a scalar or an instant vector, found a {}", found.words());
        return Err(EvalError::new(ErrorKind::BadData, words).at(expr.span));
    }
    let step = millis(step);
    if step < 1 || start_ms > end_ms {
        let words = "the step must be at least 1ms, and the start not after the end";
        return Err(EvalError::new(ErrorKind::BadData, words));
    }
    let query = Query::new(start_ms, end_ms, source, limits)?;
    let grid = query.grid(start_ms, end_ms, step)?;
    let frame = match query.eval(expr, grid)? {
        Out::Scalar(cells) => Frame { labels: vec![Labels::empty()], cells, steps: grid.count },
        Out::Frame(frame) => frame,
    };
    let mut series = frame.into_series(grid);
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Answer { value: series, warnings: query.warnings.into_inner() })
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).map_or(FARTHEST, |ms| ms.min(FARTHEST))
}

/// The text of a string argument; the parser saw to it that there is one.
pub(super) fn text(expr: &Expr) -> Evaluated<&str> {
    match &expr.bare().kind {
        Kind::Text(text) => Ok(text),
        _ => Err(misplaced(expr)),
    }
}

/// The parser does not let this happen.
pub(super) fn misplaced(expr: &Expr) -> EvalError {
    EvalError::execution(expr.span, format!("a {} has no place here", expr.value_type().words()))
}

impl<'a> Query<'a> {
    fn new(start: i64, end: i64, source: &'a dyn Source, limits: &'a Limits<'a>) -> Evaluated<Self> {
        if start < -FARTHEST || end > FARTHEST {
            return Err(EvalError::new(ErrorKind::BadData, "the time is too far from 1970"));
        }
        let (used, worked) = (Cell::new(0), Cell::new(0));
        Ok(Self { source, limits, start, end, used, worked, warnings: RefCell::default() })
    }

    /// The steps from `start` to `end`, which is not before it.
    pub fn grid(&self, start: i64, end: i64, step: i64) -> Evaluated<Grid> {
        let steps = end.saturating_sub(start) / step.max(1) + 1;
        let count = usize::try_from(steps).unwrap_or(usize::MAX);
        self.charge(count)?;
        Ok(Grid { start, step, count })
    }

    /// Takes the room of so many values from the budget.
    pub fn charge(&self, values: usize) -> Evaluated<()> {
        let (used, most) = (self.used.get().saturating_add(values), self.limits.max_samples);
        self.used.set(used);
        if used > most {
            let words = format!("the query takes more than {most} samples and values");
            return Err(EvalError::new(ErrorKind::TooMuch, words));
        }
        self.work(values)
    }

    /// Samples the source may still hand out.
    pub fn left(&self) -> usize {
        self.limits.max_samples.saturating_sub(self.used.get())
    }

    /// Says that so many values were looked at.
    pub fn work(&self, values: usize) -> Evaluated<()> {
        let worked = self.worked.get().saturating_add(values);
        if worked < PORTION {
            self.worked.set(worked);
            return Ok(());
        }
        self.worked.set(0);
        if (self.limits.stop)() {
            return Err(EvalError::new(ErrorKind::Timeout, "the query was stopped before it was done"));
        }
        Ok(())
    }

    pub fn warn(&self, words: String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < WARNINGS && !warnings.contains(&words) {
            warnings.push(words);
        }
    }

    pub fn source(&self) -> &dyn Source {
        self.source
    }

    /// Computes a scalar or an instant vector.
    pub fn eval(&self, expr: &Expr, grid: Grid) -> Evaluated<Out> {
        let out = self.node(expr, grid)?;
        if let Out::Scalar(values) = &out {
            self.charge(values.len())?;
        }
        Ok(out)
    }

    fn node(&self, expr: &Expr, grid: Grid) -> Evaluated<Out> {
        match &expr.kind {
            Kind::Number(value) => Ok(Out::Scalar(vec![*value; grid.count])),
            Kind::Paren(inner) | Kind::Positive(inner) => self.eval(inner, grid),
            Kind::Negative(inner) => match self.eval(inner, grid)? {
                Out::Scalar(values) => Ok(Out::Scalar(values.into_iter().map(|value| -value).collect())),
                Out::Frame(mut frame) => {
                    frame.map(|value| -value);
                    Ok(Out::Frame(self.derived(frame, expr.span)?))
                }
            },
            Kind::Selector(selector) => {
                Ok(Out::Frame(self.newest(selector, grid, |_, value| value, expr.span)?))
            }
            Kind::Aggregate(aggregate) => Ok(Out::Frame(self.aggregate(aggregate, grid, expr.span)?)),
            Kind::Binary(binary) => self.binary(binary, grid, expr.span),
            Kind::Call(function, arguments) => self.call(*function, arguments, grid, expr.span),
            Kind::Text(_) | Kind::Range(..) | Kind::Subquery(_) => Err(misplaced(expr)),
        }
    }

    pub fn frame(&self, expr: &Expr, grid: Grid) -> Evaluated<Frame> {
        match self.eval(expr, grid)? {
            Out::Frame(frame) => Ok(frame),
            Out::Scalar(_) => Err(misplaced(expr)),
        }
    }

    pub fn scalar(&self, expr: &Expr, grid: Grid) -> Evaluated<Vec<f64>> {
        match self.eval(expr, grid)? {
            Out::Scalar(values) => Ok(values),
            Out::Frame(_) => Err(misplaced(expr)),
        }
    }

    /// The windows of a range or a subquery at the first step, as they are.
    fn matrix(&self, expr: &Expr, grid: Grid) -> Evaluated<Vec<RangeSeries>> {
        let windows = self.windows(expr, grid)?;
        let mut found = Vec::new();
        for series in &windows.series {
            let view = windows.at(series, grid, 0);
            let rows = view.rows.iter().map(|row| (row.end, row.last));
            let points: Vec<_> = rows.chain(view.samples.iter().copied()).collect();
            if !points.is_empty() {
                found.push(RangeSeries { labels: series.labels.clone(), points });
            }
        }
        Ok(found)
    }
}
