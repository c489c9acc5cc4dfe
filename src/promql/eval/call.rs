//! Calls of functions.

use super::date;
use super::error::{ErrorKind, EvalError};
use super::frame::Frame;
use super::math::{self, Parameter};
use super::query::{Evaluated, Grid, Out, Query};
use crate::model::query::{is_no_value, no_value};
use crate::promql::ast::{Expr, Kind, Span};
use crate::promql::function::{Function, Window};

/// Which the parser counted.
fn argument(arguments: &[Expr], at: usize) -> Evaluated<&Expr> {
    arguments.get(at).ok_or_else(|| EvalError::new(ErrorKind::Execution, "an argument is missing"))
}

impl Query<'_> {
    pub fn call(&self, function: Function, arguments: &[Expr], grid: Grid, span: Span) -> Evaluated<Out> {
        let first = || argument(arguments, 0);
        let frame = match function {
            Function::Pi => return Ok(Out::Scalar(vec![std::f64::consts::PI; grid.count])),
            Function::Time => {
                return Ok(Out::Scalar(grid.times().map(|ms| ms as f64 / 1000.0).collect()));
            }
            Function::Scalar => return Ok(Out::Scalar(only_value(&self.frame(first()?, grid)?))),
            Function::Vector => Frame::scalar(self.scalar(first()?, grid)?),
            Function::Absent => self.absent(first()?, grid)?,
            Function::AbsentOverTime => self.absent_over_time(first()?, grid)?,
            Function::Window(window) => self.window_call(window, arguments, grid, span)?,
            Function::Sort | Function::SortDesc => sorted(self.frame(first()?, grid)?, function),
            Function::HistogramQuantile => self.histogram_quantile(arguments, grid, span)?,
            Function::HistogramFraction => self.histogram_fraction(arguments, grid, span)?,
            Function::LabelReplace => self.label_replace(arguments, grid, span)?,
            Function::LabelJoin => self.label_join(arguments, grid, span)?,
            Function::Date(date) if arguments.is_empty() => {
                Frame::scalar(grid.times().map(|ms| date::part(date, ms.div_euclid(1000) as f64)).collect())
            }
            Function::Timestamp => self.timestamp(first()?, grid, span)?,
            Function::Math(_)
            | Function::Date(_)
            | Function::Round
            | Function::Clamp
            | Function::ClampMin
            | Function::ClampMax => {
                let mut frame = self.frame(first()?, grid)?;
                self.work(frame.cells.len())?;
                match function {
                    Function::Math(function) => frame.map(|value| math::apply(function, value)),
                    Function::Date(date) => frame.map(|value| date::part(date, value)),
                    Function::Round => self.round(&mut frame, arguments, grid)?,
                    _ => self.clamp(&mut frame, function, arguments, grid)?,
                }
                self.derived(frame, span)?
            }
        };
        Ok(Out::Frame(frame))
    }

    fn round(&self, frame: &mut Frame, arguments: &[Expr], grid: Grid) -> Evaluated<()> {
        let nearest = match arguments.get(1) {
            Some(nearest) => self.scalar(nearest, grid)?,
            None => vec![1.0; grid.count],
        };
        frame.map_steps(|step, value| math::round(value, nearest[step]));
        Ok(())
    }

    /// Limits that exclude each other leave nothing.
    fn clamp(&self, frame: &mut Frame, function: Function, arguments: &[Expr], grid: Grid) -> Evaluated<()> {
        let limit = |at| argument(arguments, at).and_then(|limit| self.scalar(limit, grid));
        let (least, most) = match function {
            Function::ClampMin => (limit(1)?, vec![f64::INFINITY; grid.count]),
            Function::ClampMax => (vec![f64::NEG_INFINITY; grid.count], limit(1)?),
            _ => (limit(1)?, limit(2)?),
        };
        frame.map_steps(|step, value| {
            if most[step] < least[step] { no_value() } else { math::clamp(value, least[step], most[step]) }
        });
        Ok(())
    }

    /// When the samples of a selector were taken; of anything else the time of the step.
    fn timestamp(&self, of: &Expr, grid: Grid, span: Span) -> Evaluated<Frame> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let frame = match &of.bare().kind {
            Kind::Selector(selector) => self.newest(selector, grid, |at, _| seconds(at), of.span)?,
            _ => {
                let mut frame = self.frame(of, grid)?;
                frame.map_steps(|step, _| seconds(grid.time(step)));
                frame
            }
        };
        self.derived(frame, span)
    }

    fn window_call(&self, window: Window, arguments: &[Expr], grid: Grid, span: Span) -> Evaluated<Frame> {
        let (range, parameter) = match window {
            Window::Quantile => (1, Some(0)),
            Window::PredictLinear => (0, Some(1)),
            _ => (0, None),
        };
        let parameter = match parameter {
            Some(at) => Parameter::Each(self.scalar(argument(arguments, at)?, grid)?),
            None => Parameter::None,
        };
        if let (Window::Quantile, Parameter::Each(quantiles)) = (window, &parameter) {
            self.warn_of_quantiles(quantiles);
        }
        let windows = self.windows(argument(arguments, range)?, grid)?;
        self.over_time(window, &windows, &parameter, grid, span)
    }

    pub fn warn_of_quantiles(&self, quantiles: &[f64]) {
        if let Some(odd) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            self.warn(format!("quantile value should be between 0 and 1, got {odd}"));
        }
    }
}

/// The value of the one sample of each step; `NaN` where there is none, or more.
fn only_value(frame: &Frame) -> Vec<f64> {
    let one = |step: usize| {
        let mut present =
            frame.rows().filter_map(|(_, row)| row.get(step).filter(|cell| !is_no_value(**cell)));
        match (present.next(), present.next()) {
            (Some(value), None) => *value,
            _ => f64::NAN,
        }
    };
    (0..frame.steps).map(one).collect()
}

/// By value, `NaN` last. Over several steps there is no order of rows.
fn sorted(frame: Frame, function: Function) -> Frame {
    if frame.steps != 1 {
        return frame;
    }
    let mut order: Vec<usize> = (0..frame.labels.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (frame.cells[*a], frame.cells[*b]);
        let by_value = if function == Function::Sort { a.total_cmp(&b) } else { b.total_cmp(&a) };
        a.is_nan().cmp(&b.is_nan()).then(by_value)
    });
    let mut sorted = Frame { steps: 1, ..Frame::default() };
    for row in order {
        sorted.push(frame.labels[row].clone(), frame.row(row));
    }
    sorted
}
