//! How bad a value is: the levels of a rule, with hysteresis, and since when each holds.
//!
//! Levels are kept by the rank of their severity, and a level counts as reached while the
//! value is beyond it or beyond a worse one. So one table answers every question about
//! `for`: the level in force is the worst that was reached for that long without a break.
//! One would get it wrong with a single clock for all levels: a value that was high for
//! ten minutes and critical for one would be called critical at once.

use std::time::Duration;

use super::Settings;
use crate::base::time::Monotonic;
use crate::model::rule::{Absent, Clear, Compare, Judgement, Levels, Rule};
use crate::model::severity::Severity;

const RANKS: usize = Severity::ALL.len();

/// A point of time that may lie before the clock's own start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Since {
    at: Monotonic,
    /// What had passed by then.
    before: Duration,
}

impl Since {
    pub const fn now(at: Monotonic) -> Self {
        Self { at, before: Duration::ZERO }
    }

    pub const fn with(at: Monotonic, before: Duration) -> Self {
        Self { at, before }
    }

    pub fn elapsed(self, now: Monotonic) -> Duration {
        now.since(self.at).saturating_add(self.before)
    }
}

/// Since when each level is reached without a break.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Reached([Option<Since>; RANKS]);

impl Reached {
    /// Those up to `severity`, for a pending alert that goes on.
    pub fn up_to(severity: Severity, since: Since) -> Self {
        let mut reached = Self::default();
        for slot in reached.0.iter_mut().take(usize::from(severity.rank()) + 1) {
            *slot = Some(since);
        }
        reached
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Level {
    limit: f64,
    /// Left when the comparison with this fails.
    clear: f64,
}

/// A rule's judgement, laid out for speed.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    levels: [Option<Level>; RANKS],
    /// None in the Prometheus form: a sample is reason enough.
    op: Option<Compare>,
    /// Which way is worse, where there is one.
    upwards: Option<bool>,
    pub hold: Duration,
    /// How long it must be clear.
    pub clear_for: Duration,
    /// None in the Prometheus form, where missing is fine.
    pub absent: Option<Absent>,
    pub grace: Duration,
    pub lowest: Severity,
    threshold: Option<f64>,
}

impl Judge {
    pub fn new(rule: &Rule, settings: Settings) -> Self {
        let mut judge = Self {
            levels: [None; RANKS],
            op: None,
            upwards: Some(!settings.falling),
            hold: rule.hold,
            clear_for: Duration::ZERO,
            absent: None,
            grace: settings.lookback,
            lowest: rule.severity(),
            threshold: settings.threshold,
        };
        match &rule.judgement {
            Judgement::Prometheus { severity, keep_firing_for } => {
                judge.levels[usize::from(severity.rank())] = Some(Level { limit: f64::NAN, clear: f64::NAN });
                judge.clear_for = *keep_firing_for;
            }
            Judgement::Levels(levels) => judge.read(levels),
        }
        judge
    }

    fn read(&mut self, levels: &Levels) {
        let op = levels.op;
        self.op = Some(op);
        self.upwards = (!matches!(op, Compare::Equal | Compare::NotEqual)).then(|| op.upwards());
        self.clear_for = levels.clear_for;
        self.absent = Some(levels.absent);
        self.grace = levels.absent_grace;
        for (severity, limit) in &levels.limits {
            let clear = match (&levels.clear, self.upwards) {
                (Clear::Margin(margin), Some(true)) => limit - margin,
                (Clear::Margin(margin), Some(false)) => limit + margin,
                (Clear::At(points), _) => points.get(severity).copied().unwrap_or(*limit),
                (Clear::AtLevel, _) | (Clear::Margin(_), None) => *limit,
            };
            self.levels[usize::from(severity.rank())] = Some(Level { limit: *limit, clear });
        }
    }

    /// Whether a value can be judged at all.
    pub fn can_judge(&self, value: f64) -> bool {
        self.op.is_none() || !value.is_nan()
    }

    /// Whether the value is beyond any level, without hysteresis.
    pub fn any(&self, value: f64) -> bool {
        match self.op {
            None => true,
            Some(op) => self.levels.iter().flatten().any(|level| op.holds(value, level.limit)),
        }
    }

    /// Notes which levels hold now; whether any does. `fired`: the level that is firing,
    /// which is left only at its clear point, as are those below it.
    pub fn mark(&self, reached: &mut Reached, value: f64, fired: Option<Severity>, now: Monotonic) -> bool {
        let mut any = false;
        for rank in (0..RANKS).rev() {
            let slot = &mut reached.0[rank];
            let Some(level) = self.levels[rank] else {
                *slot = None;
                continue;
            };
            any = any
                || match self.op {
                    None => true,
                    Some(op) => {
                        let standing = fired.is_some_and(|fired| usize::from(fired.rank()) >= rank);
                        op.holds(value, level.limit) || (standing && op.holds(value, level.clear))
                    }
                };
            *slot = any.then(|| slot.unwrap_or(Since::now(now)));
        }
        any
    }

    /// The worst level that was reached for `for`, or that is reached and not above the
    /// one that fires already.
    pub fn top(&self, reached: &Reached, fired: Option<Severity>, now: Monotonic) -> Option<Severity> {
        Severity::ALL.into_iter().rev().find(|severity| {
            reached.0[usize::from(severity.rank())].is_some_and(|since| {
                fired.is_some_and(|fired| *severity <= fired) || since.elapsed(now) >= self.hold
            })
        })
    }

    /// The worst level that is reached for as long as the lowest: what will fire first.
    pub fn next(&self, reached: &Reached, now: Monotonic) -> Severity {
        let longest = reached.0.iter().flatten().map(|since| since.elapsed(now)).max();
        let first = Severity::ALL.into_iter().rev().find(|severity| {
            let since = reached.0[usize::from(severity.rank())];
            since.is_some_and(|since| Some(since.elapsed(now)) == longest)
        });
        first.unwrap_or(self.lowest)
    }

    /// The limit of a level; none in the Prometheus form.
    pub fn limit(&self, severity: Severity) -> Option<f64> {
        if self.op.is_none() {
            return self.threshold;
        }
        self.levels[usize::from(severity.rank())].map(|level| level.limit)
    }

    /// Whether `value` is worse than `than` by `share` of it.
    pub fn worsened(&self, value: f64, than: f64, share: f64) -> bool {
        let by = than.abs() * share;
        match self.upwards {
            Some(true) => value > than && value >= than + by,
            Some(false) => value < than && value <= than - by,
            None => false,
        }
    }
}
