//! Expressions over series written down here, with values derived by hand.

mod coarse;
mod limits;
mod matching;
mod oracle;
mod over_time;
mod vectors;

use std::cell::RefCell;
use std::time::Duration;

use super::{Answer, EvalError, Limits, RangeSeries, Value, instant, range};
use crate::model::query::no_value;
use crate::model::selector::{MatchOp, Matcher};
use crate::promql::labels::Labels;
use crate::promql::source::{Request, Series, Source, SourceError};
use crate::promql::{parse, regex};

/// What a request asked for.
#[derive(Clone, PartialEq, Debug)]
struct Asked {
    name: String,
    from: i64,
    to: i64,
    newest_only: bool,
}

#[derive(Default)]
struct Memory {
    series: Vec<Series>,
    asked: RefCell<Vec<Asked>>,
}

impl Source for Memory {
    fn select(&self, request: &Request<'_>) -> Result<Vec<Series>, SourceError> {
        let name = request.matchers.iter().find(|matcher| matcher.label == "__name__");
        self.asked.borrow_mut().push(Asked {
            name: name.map(|matcher| matcher.value.clone()).unwrap_or_default(),
            from: request.from,
            to: request.to,
            newest_only: request.newest_only,
        });
        let mut found = Vec::new();
        for series in &self.series {
            let inside = |at: i64| at > request.from && at <= request.to;
            let mut samples = series.samples.clone();
            samples.retain(|(at, _)| inside(*at));
            if request.newest_only {
                samples = samples.split_off(samples.len().saturating_sub(1));
            }
            let rows: Vec<_> = series.rows.iter().copied().filter(|row| inside(row.end)).collect();
            let wanted = request.matchers.iter().all(|matcher| holds(matcher, &series.labels));
            if wanted && !(samples.is_empty() && rows.is_empty()) {
                found.push(Series { labels: series.labels.clone(), rows, samples });
            }
        }
        if found.len() > request.max_series {
            return Err(SourceError::TooMuch(format!("{} series", found.len())));
        }
        Ok(found)
    }
}

fn holds(matcher: &Matcher, labels: &Labels) -> bool {
    let value = labels.value(&matcher.label);
    match matcher.op {
        MatchOp::Equal => value == matcher.value,
        MatchOp::NotEqual => value != matcher.value,
        MatchOp::Regex => regex::compile(&matcher.value).unwrap().is_match(value),
        MatchOp::NotRegex => !regex::compile(&matcher.value).unwrap().is_match(value),
    }
}

/// Lines of a key and its values, ten seconds apart from 0 on; `-` is no sample, `stale`
/// the marker.
fn memory(lines: &[(&str, &str)]) -> Memory {
    let series = lines.iter().map(|(key, values)| {
        let samples = values.split_whitespace().zip(0..).filter_map(|(word, at)| match word {
            "-" => None,
            "stale" => Some((at * 10_000, no_value())),
            word => Some((at * 10_000, word.parse().unwrap())),
        });
        Series::new(Labels::from_key(key), samples.collect())
    });
    Memory { series: series.collect(), ..Memory::default() }
}

fn never() -> bool {
    false
}

fn limits() -> Limits<'static> {
    Limits::new(&never)
}

fn ask(memory: &Memory, text: &str, seconds: i64) -> Result<Answer<Value>, EvalError> {
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    instant(&expr, seconds * 1000, memory, &limits())
}

/// The samples as `key value`, sorted; a scalar as its value alone.
fn shown(memory: &Memory, text: &str, seconds: i64) -> Vec<String> {
    let answer = ask(memory, text, seconds).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut lines = match answer.value {
        Value::Scalar(value) => vec![format!("{value}")],
        Value::Text(text) => vec![text],
        Value::Vector(samples) => {
            samples.iter().map(|sample| format!("{} {}", sample.labels, sample.value)).collect()
        }
        Value::Matrix(series) => {
            series.iter().map(|series| format!("{} {:?}", series.labels, series.points)).collect()
        }
    };
    lines.sort();
    lines
}

fn refused(memory: &Memory, text: &str, seconds: i64) -> EvalError {
    match ask(memory, text, seconds) {
        Err(error) => error,
        Ok(answer) => panic!("{text}: {answer:?}"),
    }
}

/// From 0 in steps of ten seconds.
fn ranged(memory: &Memory, text: &str, last: i64) -> Result<Vec<RangeSeries>, EvalError> {
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let answer = range(&expr, 0, last * 1000, Duration::from_secs(10), memory, &limits())?;
    Ok(answer.value)
}
