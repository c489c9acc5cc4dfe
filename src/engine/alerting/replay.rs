//! The stored history as a rule would have seen it, step by step.
//!
//! The expression is evaluated for some hundred steps at a time, so that neither a week of
//! seconds is held at once nor the store asked for every step. A long span has wider steps
//! than the rule itself, and the answer says so. One would get it wrong by reading from the
//! present state: a replay shares nothing with the alerts that there are.

use std::sync::Arc;
use std::time::Duration;

use super::compiled::Compiled;
use super::core::settings_of;
use crate::base::time::Timestamp;
use crate::logic::replay::{Answer, Replay, Replayed};
use crate::model::query::Resolution;
use crate::model::rule::RuleOf;
use crate::promql::eval::{self, Limits, RangeSeries};
use crate::store::{Store, StoreSource};

/// Steps of one replay.
pub const MOST_STEPS: u64 = 10_000;
/// Steps that are evaluated at once, and the time they may span where steps are short: so
/// far back samples are read as they are, and not in rows of a minute.
const PORTION: u64 = 500;
const FINE_UP_TO: Duration = Duration::from_secs(5 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
/// Samples and values of one portion, 16 bytes each.
const MOST_SAMPLES: usize = 2_000_000;

/// What a replay is to look at.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub of: RuleOf,
    pub start: Timestamp,
    pub end: Timestamp,
    /// How long an error may last before it is one, from the configuration.
    pub start_grace: Duration,
}

/// What it came to.
#[derive(Clone, Debug)]
pub struct Report {
    pub replayed: Replayed,
    pub step: Duration,
    /// The rule itself is evaluated more often than the replay looked.
    pub widened: bool,
    pub steps: u64,
    /// Elements of all answers together; 0: there was nothing to judge.
    pub samples: u64,
    pub resolutions: Vec<Resolution>,
    pub warnings: Vec<String>,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("the replay was stopped before it was done: ask for a shorter time")]
    Stopped,
    #[error("{0}")]
    Evaluation(String),
}

/// The time between two steps: that of the rule, or more where the span is too long.
pub fn step_of(every: Duration, span: Duration) -> Duration {
    let least = span.as_secs().div_ceil(MOST_STEPS);
    every.max(Duration::from_secs(least)).max(Duration::from_secs(1))
}

/// Replays a rule. Blocking: reads the store. `stop` is asked between portions of work.
///
/// # Errors
/// [`ReplayError`]: the expression could not be evaluated, or `stop` said so.
pub fn replay(wanted: &Wanted, store: Store, stop: &dyn Fn() -> bool) -> Result<Report, ReplayError> {
    let compiled = Compiled::new(Arc::new(wanted.of.clone())).map_err(ReplayError::Evaluation)?;
    let every = compiled.timed.every();
    let step = step_of(every, wanted.end.since(wanted.start));
    let source = StoreSource::new(store);
    let limits = Limits { max_samples: MOST_SAMPLES, ..Limits::new(stop) };
    let settings = settings_of(&compiled, wanted.start_grace);
    let mut replay = Replay::new(&wanted.of, settings, compiled.timed.lookback, wanted.start);
    let mut report = Report {
        replayed: Replayed::default(),
        step,
        widened: step > every,
        steps: 0,
        samples: 0,
        resolutions: Vec::new(),
        warnings: Vec::new(),
    };
    let portion = portion_of(step);
    let (mut at, mut last) = (wanted.start, wanted.start);
    while at <= wanted.end {
        let end = at.plus(step.saturating_mul(portion - 1)).min(wanted.end);
        let answer = eval::range(compiled.timed.expr(), at.millis(), end.millis(), step, &source, &limits);
        let answer = answer.map_err(|error| match stop() {
            true => ReplayError::Stopped,
            false => ReplayError::Evaluation(error.to_string()),
        })?;
        for words in answer.warnings {
            if !report.warnings.contains(&words) {
                report.warnings.push(words);
            }
        }
        let mut walk: Vec<Walk> = answer.value.into_iter().map(Walk::new).collect();
        while at <= end {
            if stop() {
                return Err(ReplayError::Stopped);
            }
            let answers: Vec<Answer> = walk.iter_mut().filter_map(|one| one.at(at)).collect();
            report.samples += answers.len() as u64;
            report.steps += 1;
            replay.step(at, &answers);
            last = at;
            at = at.plus(step);
        }
    }
    report.replayed = replay.finish(last);
    report.resolutions = source.resolutions();
    report.warnings.extend(source.warnings());
    Ok(report)
}

fn portion_of(step: Duration) -> u32 {
    let fine = FINE_UP_TO.as_secs() / step.as_secs().max(1);
    let steps = if step < MINUTE { PORTION.min(fine) } else { PORTION };
    u32::try_from(steps.max(1)).unwrap_or(1)
}

/// One series of a portion, read in order.
struct Walk {
    key: Arc<str>,
    series: RangeSeries,
    next: usize,
}

impl Walk {
    fn new(series: RangeSeries) -> Self {
        // What the metric is called is not part of what an alert is about.
        Self { key: Arc::from(series.labels.unnamed().to_key()), series, next: 0 }
    }

    fn at(&mut self, time: Timestamp) -> Option<Answer> {
        let (at, value) = *self.series.points.get(self.next)?;
        if at != time.millis() {
            return None;
        }
        self.next += 1;
        Some(Answer { key: self.key.clone(), labels: self.series.labels.clone(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_span_has_wider_steps() {
        let seconds = Duration::from_secs;
        assert_eq!(step_of(seconds(1), seconds(3600)), seconds(1));
        assert_eq!(step_of(seconds(1), seconds(7 * 86_400)), seconds(61));
        assert_eq!(step_of(seconds(300), seconds(7 * 86_400)), seconds(300));
        assert_eq!(step_of(Duration::ZERO, Duration::ZERO), seconds(1));
        assert_eq!([1, 30, 59, 60, 3600].map(|step| portion_of(seconds(step))), [500, 500, 305, 500, 500]);
    }
}
