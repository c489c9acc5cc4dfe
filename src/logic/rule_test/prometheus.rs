//! The rules of a group, evaluated as Prometheus evaluates them.
//!
//! For tests of rule files, where the answer must be Prometheus' own: an alert is
//! pending, firing or resolved and nothing else, its annotations are rendered at every
//! evaluation, and it writes the series `ALERTS` and `ALERTS_FOR_STATE`. The product's
//! own life cycle, which keeps flags and survives restarts, is another module.
//! Source: the documentation of alerting rules, and promtool's behaviour.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::memory::Memory;
use crate::base::time::Timestamp;
use crate::logic::rule_file::{PromRule, RuleGroup, RuleKind};
use crate::promql::Labels;
use crate::promql::eval::{Limits, Sample, Value, instant};
use crate::promql::labels::NAME;
use crate::promql::template::{Data, Element};
use crate::promql::{Expr, parse};

/// How long a resolved alert is remembered, in milliseconds.
const RESOLVED: i64 = 15 * 60 * 1000;

/// What all rules of a test share.
pub(super) struct World<'a> {
    pub external_labels: Labels,
    pub external_url: &'a str,
    pub limits: Limits<'a>,
}

/// An alert; times in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub annotations: Vec<(String, String)>,
    since: i64,
    firing: bool,
    kept_since: Option<i64>,
    resolved: Option<i64>,
}

/// A group and what its rules remember.
pub(super) struct Group<'a> {
    pub group: &'a RuleGroup,
    states: Vec<State>,
}

#[derive(Default)]
struct State {
    /// By their labels.
    alerts: BTreeMap<Labels, Active>,
    /// What the last evaluation wrote.
    written: BTreeSet<Labels>,
}

/// A rule that could not be evaluated.
#[derive(Debug)]
pub(super) struct Failure {
    pub rule: String,
    pub message: String,
}

impl<'a> Group<'a> {
    pub fn new(group: &'a RuleGroup) -> Self {
        let states = group.rules.iter().map(|_| State::default()).collect();
        Self { group, states }
    }

    /// The firing alerts of this name.
    pub fn firing<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'s Labels, &'s Active)> {
        let rules = self.group.rules.iter().zip(&self.states);
        let alerts = rules.filter(move |(rule, _)| rule.kind == RuleKind::Alert && rule.name == name);
        let alerts = alerts.flat_map(|(_, state)| &state.alerts);
        alerts.filter(|(_, alert)| alert.firing && alert.resolved.is_none())
    }

    /// Evaluates all rules, one after the other, and stores what they make.
    pub fn step(&mut self, at: i64, memory: &mut Memory, world: &World<'_>) -> Result<(), Failure> {
        let offset = self.group.query_offset.unwrap_or_default();
        let stored_at = at.saturating_sub(millis(offset));
        for (rule, state) in self.group.rules.iter().zip(&mut self.states) {
            let failed = |message: String| Failure { rule: rule.name.clone(), message };
            let result = answer(&rule.expr, stored_at, memory, world).map_err(failed)?;
            let made = match rule.kind {
                RuleKind::Record => record(rule, result),
                RuleKind::Alert => state.judge(rule, result, at, memory, world),
            }
            .map_err(failed)?;
            let limit = usize::try_from(self.group.limit).unwrap_or(usize::MAX);
            let count = match rule.kind {
                RuleKind::Record => made.len(),
                RuleKind::Alert => made.len() / 2,
            };
            if limit > 0 && count > limit {
                return Err(failed(format!("the limit of the group is {limit}, the rule makes {count}")));
            }
            let mut written = BTreeSet::new();
            for (labels, value) in made {
                memory.append(labels.clone(), stored_at, value).map_err(failed)?;
                written.insert(labels);
            }
            for gone in state.written.difference(&written) {
                memory.end(gone.clone(), stored_at).map_err(failed)?;
            }
            state.written = written;
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The vector of an expression; a scalar is one sample without labels.
fn answer(expr: &Expr, at: i64, memory: &Memory, world: &World<'_>) -> Result<Vec<Sample>, String> {
    let value = instant(expr, at, memory, &world.limits).map_err(|error| error.to_string())?.value;
    match value {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar(value) => Ok(vec![Sample { labels: Labels::empty(), value }]),
        Value::Text(_) | Value::Matrix(_) => Err(String::from("the result is no vector or scalar")),
    }
}

fn record(rule: &PromRule, result: Vec<Sample>) -> Result<Vec<Element>, String> {
    let mut made = Vec::new();
    let mut seen = BTreeSet::new();
    for sample in result {
        let own = rule.labels.iter().map(|(name, value)| (name.as_str(), value.text()));
        let labels = sample.labels.iter().chain(own).chain([(NAME, rule.name.as_str())]);
        let labels = Labels::new(labels);
        if !seen.insert(labels.clone()) {
            return Err(format!("two results have the labels {labels} once those of the rule are set"));
        }
        made.push((labels, sample.value));
    }
    Ok(made)
}

impl State {
    /// Brings the alerts up to `at` and makes the series that tell of them.
    fn judge(
        &mut self,
        rule: &PromRule,
        result: Vec<Sample>,
        at: i64,
        memory: &Memory,
        world: &World<'_>,
    ) -> Result<Vec<Element>, String> {
        let mut present = BTreeSet::new();
        for sample in result {
            let (labels, annotations) = render(rule, &sample, at, memory, world);
            if !present.insert(labels.clone()) {
                return Err(format!("two results have the labels {labels} once those of the alert are set"));
            }
            match self.alerts.get_mut(&labels).filter(|alert| alert.resolved.is_none()) {
                Some(alert) => alert.annotations = annotations,
                None => {
                    let fresh =
                        Active { annotations, since: at, firing: false, kept_since: None, resolved: None };
                    self.alerts.insert(labels, fresh);
                }
            }
        }
        self.alerts.retain(|labels, alert| alert.step(rule, present.contains(labels), at));
        let mut made = Vec::new();
        for (labels, alert) in self.alerts.iter().filter(|(_, alert)| alert.resolved.is_none()) {
            let state = if alert.firing { "firing" } else { "pending" };
            // Prometheus shows the text of a label's template where that rendered to nothing.
            let written = rule.labels.iter().map(|(name, template)| (name.as_str(), template.text()));
            let labels = Labels::new(written.chain(labels.iter()));
            made.push((labels.with(NAME, "ALERTS").with("alertstate", state), 1.0));
            let since = alert.since.div_euclid(1000) as f64;
            made.push((labels.with(NAME, "ALERTS_FOR_STATE"), since));
        }
        Ok(made)
    }
}

impl Active {
    /// Whether the alert is still to be remembered.
    fn step(&mut self, rule: &PromRule, present: bool, at: i64) -> bool {
        if present {
            self.kept_since = None;
            self.firing |= at.saturating_sub(self.since) >= millis(rule.hold);
            return true;
        }
        if let Some(resolved) = self.resolved {
            return at.saturating_sub(resolved) <= RESOLVED;
        }
        if !self.firing {
            return false;
        }
        let kept_since = *self.kept_since.get_or_insert(at);
        if at.saturating_sub(kept_since) >= millis(rule.keep_firing) {
            self.resolved = Some(at);
        }
        true
    }
}

/// The labels and annotations of the alert that a sample makes.
fn render(
    rule: &PromRule,
    sample: &Sample,
    at: i64,
    memory: &Memory,
    world: &World<'_>,
) -> (Labels, Vec<(String, String)>) {
    let data = Data {
        labels: &sample.labels,
        value: sample.value,
        external_labels: &world.external_labels,
        external_url: world.external_url,
        at: Timestamp(at),
    };
    let query = |text: &str| {
        let expr = parse(text).map_err(|error| error.to_string())?;
        let found = answer(&expr, at, memory, world)?;
        Ok(found.into_iter().map(|sample| (sample.labels, sample.value)).collect())
    };
    let mut labels = sample.labels.unnamed();
    for (name, template) in &rule.labels {
        labels = labels.with(name, &template.expand(&data, &query));
    }
    let annotations = rule.annotations.iter();
    let annotations = annotations.map(|(name, template)| (name.clone(), template.expand(&data, &query)));
    let mut annotations: Vec<_> = annotations.collect();
    annotations.sort();
    (labels.with("alertname", &rule.name), annotations)
}
