//! The series of one test, in memory.
//!
//! Inputs become visible as the time of the test goes on, because rules must not see
//! what comes later; what rules record is added at its time.

use std::collections::BTreeMap;

use crate::model::query::no_value;
use crate::model::selector::{MatchOp, Matcher};
use crate::promql::labels::{Labels, NAME};
use crate::promql::regex;
use crate::promql::source::{Request, Series, Source, SourceError};

/// Samples of one test, recorded ones included.
const MOST: usize = 10_000_000;

/// Samples of a series by time; times in milliseconds.
type Samples = Vec<(i64, f64)>;

#[derive(Debug, Default)]
pub(super) struct Memory {
    series: BTreeMap<Labels, Samples>,
    /// What comes later; the next sample is the last.
    waiting: BTreeMap<Labels, Samples>,
    count: usize,
}

impl Memory {
    /// Takes the samples of a series, by the number of their step; a series given again
    /// replaces the first.
    pub fn input(&mut self, labels: Labels, start: i64, step: i64, values: &[(i64, f64)]) {
        let time = |at: i64| start.saturating_add(step.saturating_mul(at));
        let mut samples: Samples = values.iter().map(|(at, value)| (time(*at), *value)).collect();
        samples.reverse();
        self.waiting.insert(labels, samples);
    }

    /// Makes the inputs up to `time` visible.
    pub fn advance(&mut self, time: i64) -> Result<(), String> {
        let mut ready = Vec::new();
        for (labels, samples) in &mut self.waiting {
            while let Some(sample) = samples.pop_if(|(at, _)| *at <= time) {
                ready.push((labels.clone(), sample));
            }
        }
        for (labels, (at, value)) in ready {
            if self.is_new(&labels, at) {
                self.append(labels, at, value)?;
            }
        }
        Ok(())
    }

    fn is_new(&self, labels: &Labels, at: i64) -> bool {
        let last = self.series.get(labels).and_then(|samples| samples.last());
        last.is_none_or(|(last, _)| *last < at)
    }

    /// Adds a sample that a rule made.
    ///
    /// # Errors
    /// The series has another sample of that time, or a later one; or there are too many.
    pub fn append(&mut self, labels: Labels, at: i64, value: f64) -> Result<(), String> {
        let is_new = self.is_new(&labels, at);
        let samples = self.series.entry(labels).or_default();
        if !is_new {
            let same =
                samples.last().is_some_and(|(last, known)| *last == at && known.to_bits() == value.to_bits());
            let words = "the series already has another sample of this time, expected one rule to make it";
            return if same { Ok(()) } else { Err(words.to_owned()) };
        }
        samples.push((at, value));
        self.count += 1;
        if self.count > MOST {
            return Err(format!("the test has more than {MOST} samples"));
        }
        Ok(())
    }

    /// Says that a series ended, unless something else still makes it.
    ///
    /// # Errors
    /// There are too many samples.
    pub fn end(&mut self, labels: Labels, at: i64) -> Result<(), String> {
        if self.is_new(&labels, at) { self.append(labels, at, no_value()) } else { Ok(()) }
    }
}

impl Source for Memory {
    fn select(&self, request: &Request<'_>) -> Result<Vec<Series>, SourceError> {
        let tests: Vec<Test<'_>> = request.matchers.iter().map(Test::new).collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        let mut count = 0;
        for (labels, samples) in &self.series {
            let from = samples.partition_point(|(at, _)| *at <= request.from);
            let to = samples.partition_point(|(at, _)| *at <= request.to);
            let from = if request.newest_only { from.max(to.saturating_sub(1)) } else { from };
            let window = samples.get(from..to).unwrap_or_default();
            if window.is_empty() || !tests.iter().all(|test| test.holds(labels)) {
                continue;
            }
            count += window.len();
            if count > request.max_samples || found.len() >= request.max_series {
                return Err(SourceError::TooMuch(String::from(
                    "a selector matches too many series or samples",
                )));
            }
            found.push(Series::new(labels.clone(), window.to_vec()));
        }
        Ok(found)
    }
}

/// A matcher with its regular expression.
struct Test<'a> {
    matcher: &'a Matcher,
    regex: Option<regex_lite::Regex>,
}

impl<'a> Test<'a> {
    fn new(matcher: &'a Matcher) -> Result<Self, SourceError> {
        let regex = match matcher.op {
            MatchOp::Regex | MatchOp::NotRegex => {
                Some(regex::compile(&matcher.value).map_err(SourceError::BadMatcher)?)
            }
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { matcher, regex })
    }

    fn holds(&self, labels: &Labels) -> bool {
        let value =
            if self.matcher.label == NAME { labels.name() } else { labels.value(&self.matcher.label) };
        let same = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.matcher.value == value,
        };
        same == matches!(self.matcher.op, MatchOp::Equal | MatchOp::Regex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(memory: &Memory, expr: &str, from: i64, to: i64, newest_only: bool) -> Vec<String> {
        let selector = crate::promql::selector::parse(expr).unwrap();
        let matchers = &selector.matchers;
        let request = Request { matchers, from, to, newest_only, max_series: 10, max_samples: 10 };
        let found = memory.select(&request).unwrap();
        found.iter().map(|series| format!("{} {:?}", series.labels, series.samples)).collect()
    }

    #[test]
    fn inputs_come_with_time_and_windows_are_open_on_the_left() {
        let mut memory = Memory::default();
        let values = [(0, 1.0), (2, 3.0), (3, 4.0)];
        memory.input(Labels::from_key("a{x=\"1\"}"), 0, 10, &values);
        memory.input(Labels::from_key("b"), 0, 10, &values);
        memory.advance(20).unwrap();
        assert_eq!(ask(&memory, "a", 0, 100, false), ["a{x=\"1\"} [(20, 3.0)]"]);
        assert_eq!(ask(&memory, "{x=~\"1|2\"}", -1, 100, true), ["a{x=\"1\"} [(20, 3.0)]"]);
        memory.advance(30).unwrap();
        memory.append(Labels::from_key("b"), 30, 9.0).unwrap_err();
        memory.append(Labels::from_key("b"), 30, 4.0).unwrap();
        assert_eq!(ask(&memory, "b{x!=\"1\"}", 10, 30, false), ["b [(20, 3.0), (30, 4.0)]"]);
        assert!(ask(&memory, "b", 30, 30, true).is_empty());
    }
}
