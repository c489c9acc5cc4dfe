//! Runs the tests of a file and says of each case what became of it.

use std::time::Duration;

use super::memory::Memory;
use super::prometheus::{Group, World};
use super::{AlertCase, ExpectedAlert, ExprCase, Outcome, Subject, Test, TestFile, Verdict};
use crate::base::prometheus_duration;
use crate::logic::rule_file::RuleFile;
use crate::promql::eval::{Limits, Value, instant};
use crate::promql::{Labels, parse};

/// Evaluations of all rules in one test.
const MOST_STEPS: i64 = 1_000_000;

/// Runs every test of `file` with the rules of `rules`. `stop` is asked now and then;
/// when it answers `true`, the rest of the cases end in errors.
pub fn run(file: &TestFile, rules: &[RuleFile], stop: &dyn Fn() -> bool) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for test in &file.tests {
        let mut run = Run { file, test, memory: Memory::default(), verdicts: Vec::new() };
        let alerts = run.alerts(rules, stop);
        let expressions = match &alerts {
            Err(verdict) => vec![verdict.clone(); test.expressions.len()],
            Ok(()) => test.expressions.iter().map(|case| run.expression(case, stop)).collect(),
        };
        let mut verdicts = run.verdicts;
        let missing = alerts.err().unwrap_or(Verdict::Passed);
        verdicts.resize(test.alerts.len(), missing);
        for (case, verdict) in test.alerts.iter().zip(verdicts) {
            let subject = Subject::Alert(case.name.clone());
            let test = test.name.clone();
            outcomes.push(Outcome { test, place: case.place, at: case.at, subject, verdict });
        }
        for (case, verdict) in test.expressions.iter().zip(expressions) {
            let subject = Subject::Expr(case.expr.clone());
            let test = test.name.clone();
            outcomes.push(Outcome { test, place: case.place, at: case.at, subject, verdict });
        }
    }
    outcomes
}

struct Run<'a> {
    file: &'a TestFile,
    test: &'a Test,
    memory: Memory,
    /// Of the alert cases.
    verdicts: Vec<Verdict>,
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<'a> Run<'a> {
    fn limits<'s>(&self, stop: &'s dyn Fn() -> bool) -> Limits<'s> {
        Limits { default_subquery_step: self.file.evaluation_interval, ..Limits::new(stop) }
    }

    /// Evaluates the rules over the time of the test and judges the alert cases on the
    /// way. The error is the verdict of every case that was not judged.
    fn alerts(&mut self, rules: &'a [RuleFile], stop: &dyn Fn() -> bool) -> Result<(), Verdict> {
        let test = self.test;
        if let Some(reason) = &test.refused {
            return Err(Verdict::Refused(reason.clone()));
        }
        let start = test.start.millis();
        let step = millis(self.file.evaluation_interval).max(1);
        for input in &test.series {
            self.memory.input(input.labels.clone(), start, millis(test.interval), &input.values);
        }
        let times = test.alerts.iter().map(|case| case.at).chain(test.expressions.iter().map(|case| case.at));
        let steps = millis(times.max().unwrap_or_default()) / step;
        let mut groups: Vec<Group<'_>> = rules.iter().flat_map(|file| &file.groups).map(Group::new).collect();
        let place = |name: &str| self.file.group_order.iter().position(|group| group == name).unwrap_or(0);
        groups.sort_by_key(|group| place(&group.group.name));
        let world = World {
            external_labels: Labels::new(test.external_labels.iter().map(|(name, value)| (name, value))),
            external_url: &test.external_url,
            limits: self.limits(stop),
        };
        if groups.is_empty() {
            // Without rules only the last step matters.
            self.verdicts = test.alerts.iter().map(|case| compare_alerts(case, Vec::new())).collect();
            return self.memory.advance(start.saturating_add(steps * step)).map_err(Verdict::Error);
        }
        if steps > MOST_STEPS {
            return Err(Verdict::Error(format!("the test needs more than {MOST_STEPS} evaluations")));
        }
        let mut verdicts: Vec<Option<Verdict>> = vec![None; test.alerts.len()];
        let ended = self.evaluate(&mut groups, &world, steps, step, &mut verdicts);
        let missing = ended.clone().err().unwrap_or(Verdict::Passed);
        self.verdicts =
            verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(|| missing.clone())).collect();
        ended
    }

    fn evaluate(
        &mut self,
        groups: &mut [Group<'_>],
        world: &World<'_>,
        steps: i64,
        step: i64,
        verdicts: &mut [Option<Verdict>],
    ) -> Result<(), Verdict> {
        let start = self.test.start.millis();
        for number in 0..=steps {
            let passed = number * step;
            let at = start.saturating_add(passed);
            self.memory.advance(at).map_err(Verdict::Error)?;
            for group in groups.iter_mut() {
                group.step(at, &mut self.memory, world).map_err(|failure| {
                    let time = prometheus_duration::show(Duration::from_millis(passed.unsigned_abs()));
                    let message = format!("rule {} at {time}: {}", failure.rule, failure.message);
                    refused(&failure.message, Verdict::Error(message))
                })?;
            }
            let due = |case: &AlertCase| (passed..passed + step).contains(&millis(case.at));
            for (case, verdict) in self.test.alerts.iter().zip(verdicts.iter_mut()) {
                if due(case) {
                    let firing = groups.iter().flat_map(|group| group.firing(&case.name));
                    let firing = firing.map(|(labels, alert)| ExpectedAlert {
                        labels: labels.clone(),
                        annotations: alert.annotations.clone(),
                    });
                    *verdict = Some(compare_alerts(case, firing.collect()));
                }
            }
        }
        Ok(())
    }

    fn expression(&self, case: &ExprCase, stop: &dyn Fn() -> bool) -> Verdict {
        if let Some(reason) = &case.refused {
            return Verdict::Refused(reason.clone());
        }
        let expr = match parse(&case.expr) {
            Ok(expr) => expr,
            Err(error) => return refused(&error.message, Verdict::Error(error.to_string())),
        };
        let at = self.test.start.millis().saturating_add(millis(case.at));
        let got = match instant(&expr, at, &self.memory, &self.limits(stop)) {
            Ok(answer) => answer.value,
            Err(error) => return refused(&error.message, Verdict::Error(error.message.clone())),
        };
        let got = match got {
            Value::Vector(samples) => {
                samples.into_iter().map(|sample| (sample.labels, sample.value)).collect()
            }
            Value::Scalar(value) => vec![(Labels::empty(), value)],
            Value::Text(_) | Value::Matrix(_) => {
                return Verdict::Error(String::from("the result is no vector or scalar"));
            }
        };
        compare_samples(case.expected.clone(), got, self.file.fuzzy)
    }
}

/// PromQL says of what it lacks that it is not supported, and of nothing else.
fn refused(message: &str, otherwise: Verdict) -> Verdict {
    if message.contains("not supported") { Verdict::Refused(message.to_owned()) } else { otherwise }
}

fn compare_alerts(case: &AlertCase, mut got: Vec<ExpectedAlert>) -> Verdict {
    let mut expected = case.expected.clone();
    if case.ignore_annotations {
        for alert in expected.iter_mut().chain(&mut got) {
            alert.annotations.clear();
        }
    }
    expected.sort();
    got.sort();
    if expected == got {
        return Verdict::Passed;
    }
    let show = |alerts: Vec<ExpectedAlert>| {
        let lines = alerts.into_iter().map(|alert| {
            let annotations = alert.annotations.iter().map(|(name, text)| format!("{name}={text:?}"));
            format!("{} {{{}}}", alert.labels, annotations.collect::<Vec<_>>().join(", "))
        });
        lines.collect()
    };
    Verdict::Wrong { expected: show(expected), got: show(got) }
}

fn compare_samples(mut expected: Vec<(Labels, f64)>, mut got: Vec<(Labels, f64)>, fuzzy: bool) -> Verdict {
    let order = |a: &(Labels, f64), b: &(Labels, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
    expected.sort_by(order);
    got.sort_by(order);
    let same = |(a, b): (&(Labels, f64), &(Labels, f64))| a.0 == b.0 && equal(a.1, b.1, fuzzy);
    if expected.len() == got.len() && expected.iter().zip(&got).all(same) {
        return Verdict::Passed;
    }
    let show = |samples: Vec<(Labels, f64)>| {
        samples.into_iter().map(|(labels, value)| format!("{labels} {value}")).collect()
    };
    Verdict::Wrong { expected: show(expected), got: show(got) }
}

/// Whether two values are the same; if `fuzzy`, neighbours are.
fn equal(a: f64, b: f64, fuzzy: bool) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    fuzzy && (a.next_up() == b || a.next_down() == b)
}

#[cfg(test)]
mod tests {
    use super::equal;

    #[test]
    fn only_neighbours_are_nearly_equal() {
        assert!(equal(0.3, 0.1 + 0.2, true) && !equal(0.3, 0.1 + 0.2, false));
        assert!(!equal(1.0, 1.0f64.next_up().next_up(), true));
        assert!(equal(0.0, -0.0, false) && equal(f64::NAN, f64::NAN, false));
        assert!(equal(f64::INFINITY, f64::INFINITY, false) && !equal(f64::NAN, 1.0, true));
    }
}
