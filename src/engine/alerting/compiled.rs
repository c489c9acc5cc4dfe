//! Rules ready to be evaluated, and one round over those that are due.
//!
//! A round is of one moment: every rule that is due is asked for the same time, the
//! recording rules before the alerts, as the series they make are what alerts look at.
//! How often a rule runs follows from how far it looks back: an average over an hour does
//! not change within a second. One would get it wrong by evaluating under the lock that
//! guards the alerts: an acknowledgement would wait for the slowest expression.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::core::RuleHealth;
use super::source::HeadSource;
use crate::base::time::Monotonic;
use crate::config::rule::Recording;
use crate::logic::alert::Now;
use crate::model::frame::Frame;
use crate::model::rule::{Rule, RuleOf};
use crate::promql::ast::BinaryOp;
use crate::promql::eval::{self, Limits, Value};
use crate::promql::labels::NAME;
use crate::promql::source::Source;
use crate::promql::{Expr, Labels, inspect, parse};

/// A rule is evaluated at least this often, and no more often than that.
const SELDOM: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_secs(1);
/// One evaluation may take so long.
const DEADLINE: Duration = Duration::from_secs(5);

/// An expression with how often it is evaluated.
pub struct Timed {
    expr: Expr,
    every: Duration,
    /// How far it looks back.
    pub lookback: Duration,
    due: Option<Monotonic>,
}

impl Timed {
    /// # Errors
    /// The text is not an expression; the configuration has refused it before.
    pub fn new(text: &str, every: Option<Duration>) -> Result<Self, String> {
        let expr = parse(text).map_err(|error| error.to_string())?;
        let lookback = Duration::from_millis(inspect::longest_look_back(&expr, 0).unsigned_abs());
        let every = every.unwrap_or_else(|| (lookback / 60).clamp(OFTEN, SELDOM));
        Ok(Self { expr, every, lookback, due: None })
    }

    pub const fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Between two evaluations.
    pub const fn every(&self) -> Duration {
        self.every
    }

    /// Whether it is due; then it is due again one interval later.
    fn is_due(&mut self, now: Monotonic) -> bool {
        // Half a second early is on time: rounds do not come to the millisecond.
        let slack = Duration::from_millis(500);
        if self.due.is_some_and(|due| now.0 + slack < due.0) {
            return false;
        }
        let next = self.due.map_or(now.0, |due| due.0) + self.every;
        self.due = Some(Monotonic(if next > now.0 { next } else { now.0 + self.every }));
        true
    }

    fn evaluate(
        &self,
        source: &HeadSource,
        at: i64,
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<(Labels, f64)>, String> {
        vector(&self.expr, at, source, &Limits::new(stop))
    }
}

/// The vector of an expression at a time in ms since 1970; a number is one without labels.
///
/// # Errors
/// It cannot be evaluated, or answers something else; in words.
pub fn vector(
    expr: &Expr,
    at: i64,
    source: &dyn Source,
    limits: &Limits<'_>,
) -> Result<Vec<(Labels, f64)>, String> {
    let answer = eval::instant(expr, at, source, limits).map_err(|error| error.to_string())?;
    match answer.value {
        Value::Vector(samples) => {
            Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect())
        }
        Value::Scalar(value) => Ok(vec![(Labels::empty(), value)]),
        Value::Text(_) | Value::Matrix(_) => {
            Err(String::from("the expression answers a text or a range, expected an instant vector"))
        }
    }
}

/// An alerting rule.
pub struct Compiled {
    pub of: Arc<RuleOf>,
    pub timed: Timed,
    /// Its texts may ask the store for more than the rule did.
    asks: bool,
    /// The canonical key of each label set that was seen lately.
    keys: HashMap<Labels, Arc<str>>,
}

/// One sample of an answer, as the life cycle wants it.
#[derive(Clone, Debug)]
pub struct Answered {
    pub key: Arc<str>,
    pub labels: Labels,
    pub value: f64,
}

/// What came of one rule in a round.
pub struct Evaluated {
    /// Place of the rule in [`Rounds::rules`].
    pub rule: usize,
    pub result: Result<Vec<Answered>, String>,
    pub took: Duration,
    /// The windows were filled as far as the rule asks for.
    pub enough: bool,
}

impl Compiled {
    /// # Errors
    /// Its expression cannot be read; the configuration has refused it before.
    pub fn new(of: Arc<RuleOf>) -> Result<Self, String> {
        let timed = Timed::new(&of.rule.expr, of.rule.every)?;
        let asks = std::iter::once(&of.rule)
            .chain(of.variants.iter().filter_map(|variant| variant.rule.as_ref()))
            .any(|rule| rule.texts().any(|text| text.contains("query")));
        Ok(Self { of, timed, asks, keys: HashMap::new() })
    }

    pub fn rule(&self) -> &Rule {
        &self.of.rule
    }

    /// What the comparison at its top says: whether smaller values are the worse ones, and
    /// with what number it compares.
    pub fn comparison(&self) -> (bool, Option<f64>) {
        let threshold = inspect::threshold(&self.timed.expr).filter(|at| !at.bool);
        let falls = threshold.is_some_and(|at| matches!(at.op, BinaryOp::Less | BinaryOp::LessOrEqual));
        (falls, threshold.map(|at| at.value))
    }

    fn keyed(&mut self, samples: Vec<(Labels, f64)>) -> Vec<Answered> {
        if self.keys.len() > 2 * samples.len() + 64 {
            self.keys.clear();
        }
        let keyed = samples.into_iter().map(|(labels, value)| {
            let known = self.keys.get(&labels).cloned();
            let key = known.unwrap_or_else(|| {
                // What the metric is called is not part of what an alert is about.
                let key: Arc<str> = Arc::from(labels.unnamed().to_key());
                self.keys.insert(labels.clone(), Arc::clone(&key));
                key
            });
            Answered { key, labels, value }
        });
        keyed.collect()
    }
}

/// A recording rule.
struct Recorder {
    recording: Recording,
    timed: Timed,
    health: RuleHealth,
}

/// All rules, and the source they share.
pub struct Rounds {
    pub source: HeadSource,
    pub rules: Vec<Compiled>,
    recorders: Vec<Recorder>,
}

impl Rounds {
    pub fn new(source: HeadSource) -> Self {
        Self { source, rules: Vec::new(), recorders: Vec::new() }
    }

    /// Takes other rules. What is due stays due: an edit evaluates at once.
    pub fn take(&mut self, rules: Vec<RuleOf>, recordings: Vec<Recording>) {
        self.source.clear();
        let mut before: HashMap<String, Compiled> = std::mem::take(&mut self.rules)
            .into_iter()
            .map(|rule| (rule.of.rule.name.clone(), rule))
            .collect();
        for of in rules {
            match before.remove(&of.rule.name).filter(|known| *known.of == of) {
                Some(known) => self.rules.push(known),
                None => self.rules.extend(Compiled::new(Arc::new(of)).ok()),
            }
        }
        let recorder = |recording: Recording| {
            let timed = Timed::new(&recording.expr, recording.every).ok()?;
            Some(Recorder { recording, timed, health: RuleHealth::default() })
        };
        self.recorders = recordings.into_iter().filter_map(recorder).collect();
    }

    /// How the evaluation of the recording rules goes, by their names.
    pub fn recorders_health(&self) -> BTreeMap<String, RuleHealth> {
        let health = |one: &Recorder| (one.recording.name.clone(), one.health.clone());
        self.recorders.iter().map(health).collect()
    }

    /// Whether the texts of rules that were evaluated may ask the store for more.
    pub fn ask(&self, evaluated: &[Evaluated]) -> bool {
        evaluated.iter().any(|one| self.rules.get(one.rule).is_some_and(|rule| rule.asks))
    }

    /// Evaluates recording rules that are due; their answers as a frame, if any.
    pub fn record(&mut self, now: Now, elapsed: &dyn Fn() -> Duration) -> Option<Frame> {
        self.source.begin();
        let mut frame = Frame::new();
        let mut any = false;
        for Recorder { recording, timed, health } in &mut self.recorders {
            if !timed.is_due(now.mono) {
                continue;
            }
            let start = elapsed();
            let stop = || elapsed().saturating_sub(start) > DEADLINE;
            let result = timed.evaluate(&self.source, now.wall.millis(), &stop);
            *health = RuleHealth {
                last_at: Some(now.wall),
                error: result.as_ref().err().cloned(),
                instances: result.as_ref().map_or(0, Vec::len),
                took: elapsed().saturating_sub(start),
            };
            let samples = match result {
                Ok(samples) => samples,
                Err(error) => {
                    tracing::debug!(rule = recording.name, %error, "a recording rule was not evaluated");
                    continue;
                }
            };
            let family = frame.gauge(&recording.record, "Computed by a recording rule.");
            for (labels, value) in samples {
                let mut pairs: Vec<(&str, &str)> = labels.iter().filter(|(name, _)| *name != NAME).collect();
                pairs.retain(|(name, _)| !recording.labels.contains_key(*name));
                pairs.extend(recording.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                family.push(&pairs, value);
                any = true;
            }
        }
        any.then_some(frame)
    }

    /// Evaluates the alerting rules that are due at `now`. Blocking: may read the store.
    pub fn evaluate(&mut self, now: Now, elapsed: &dyn Fn() -> Duration) -> Vec<Evaluated> {
        self.source.begin();
        let mut evaluated = Vec::new();
        for (place, compiled) in self.rules.iter_mut().enumerate() {
            if !compiled.of.rule.enabled || !compiled.timed.is_due(now.mono) {
                continue;
            }
            self.source.begin_rule();
            let start = elapsed();
            let stop = || elapsed().saturating_sub(start) > DEADLINE;
            let result = compiled.timed.evaluate(&self.source, now.wall.millis(), &stop);
            let result = result.map(|samples| compiled.keyed(samples));
            let enough = compiled.of.rule.min_samples.is_none_or(|share| self.source.filled() >= share);
            let took = elapsed().saturating_sub(start);
            evaluated.push(Evaluated { rule: place, result, took, enough });
        }
        evaluated
    }
}
