//! The instances of one rule: who is seen, who is missing, who is restored.
//!
//! Each step has a number, and an instance remembers the last one that had a sample of it.
//! Where all were seen, nothing is walked twice. One would get it wrong by collecting the
//! keys of an answer into a set to find the missing ones: that costs more than judging.

use std::collections::HashMap;
use std::sync::Arc;

use super::course::Course;
use super::episode::{Episode, Instance, Unseen};
use super::flap::Flaps;
use super::judge::{Judge, Reached, Since};
use super::{About, Author, Change, Input, News, Now, Outcome, Sample, Settings, Texts, WHOLE_RULE};
use crate::base::time::{Monotonic, Timestamp};
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::rule::{Absent, Origin, Rule};

/// A difference of the clocks that is no drift, in milliseconds.
const JUMP_MS: u64 = 2000;

/// See the module.
#[derive(Clone, Debug)]
pub struct RuleState {
    pub(super) rule: Arc<Rule>,
    pub(super) judge: Judge,
    pub(super) settings: Settings,
    pub(super) instances: HashMap<Box<str>, Instance>,
    /// What is said of the rule itself.
    pub(super) whole: Instance,
    /// Number of the present step.
    turn: u64,
    last: Option<Now>,
    /// Since when every evaluation failed.
    failing: Option<Monotonic>,
    /// It had a series since the start.
    had_series: bool,
}

impl RuleState {
    pub fn new(rule: Arc<Rule>, settings: Settings) -> Self {
        Self {
            judge: Judge::new(&rule, settings),
            rule,
            settings,
            instances: HashMap::new(),
            whole: Instance::default(),
            turn: 0,
            last: None,
            failing: None,
            had_series: false,
        }
    }

    pub fn rule(&self) -> &Arc<Rule> {
        &self.rule
    }

    /// All that is pending or more, in no order.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        let slots = self.instances.values().chain([&self.whole]);
        slots.filter_map(|slot| slot.live.as_deref().map(|live| &live.alert))
    }

    /// Label sets that are known, inactive ones too.
    pub fn instances(&self) -> usize {
        self.instances.len()
    }

    /// Judges what the expression answered, or that it did not. A disabled rule judges
    /// nothing.
    pub fn step(&mut self, now: Now, input: Input<'_>, author: &mut dyn Author) -> Outcome {
        let mut outcome = Outcome { changes: self.shift(now), ..Outcome::default() };
        if !self.rule.enabled {
            outcome.changes.extend(self.retire(now, "the rule is disabled"));
            return outcome;
        }
        self.turn += 1;
        let rule = Arc::clone(&self.rule);
        let judge = self.judge.clone();
        let mut course = Course {
            rule: &rule,
            judge: &judge,
            settings: self.settings,
            now,
            author,
            changes: std::mem::take(&mut outcome.changes),
        };
        course.pass_time(&mut self.whole);
        match input {
            Input::Failed(message) => self.failed(&mut course, message),
            Input::Samples(samples) => {
                self.answered(&mut course, samples.is_empty());
                let seen = self.judge_all(&mut course, samples, &mut outcome);
                if seen < self.instances.len() {
                    let turn = self.turn;
                    self.instances.retain(|key, slot| slot.seen == turn || course.gone(key, slot));
                }
            }
        }
        outcome.changes = course.changes;
        outcome
    }

    /// Judges the samples; how many instances had one.
    fn judge_all(&mut self, course: &mut Course<'_>, samples: &[Sample<'_>], outcome: &mut Outcome) -> usize {
        let mut seen = 0;
        for (place, sample) in samples.iter().enumerate() {
            let judged = sample.enough && self.judge.can_judge(sample.value);
            let known = self.instances.len();
            let slot = match self.instances.get_mut(sample.key) {
                Some(slot) => slot,
                // Of what never had a value nothing is known that could go missing.
                None if !judged => continue,
                None if known >= self.settings.most_instances => {
                    outcome.refused += 1;
                    continue;
                }
                None => self.instances.entry(Box::from(sample.key)).or_default(),
            };
            if slot.seen == self.turn {
                outcome.duplicates += 1;
                continue;
            }
            slot.seen = self.turn;
            seen += 1;
            course.pass_time(slot);
            if judged {
                course.value(sample.key, place, slot, sample.value);
            } else {
                course.unknown(sample.key, slot);
            }
        }
        seen
    }

    /// Nothing is judged; after the grace the rule itself is in error.
    fn failed(&mut self, course: &mut Course<'_>, message: &str) {
        for slot in self.instances.values_mut() {
            course.pass_time(slot);
        }
        let since = *self.failing.get_or_insert(course.now.mono);
        if course.now.mono.since(since) >= self.judge.grace {
            course.without_data(WHOLE_RULE, &mut self.whole, Absent::Error, Some(message));
        }
    }

    /// The expression works; whether it ever had anything to say is another matter.
    fn answered(&mut self, course: &mut Course<'_>, empty: bool) {
        self.had_series |= !empty || !self.instances.is_empty();
        let asks = self.judge.absent.is_some_and(|absent| absent != Absent::Ok);
        let silent = asks && !self.had_series && self.rule.origin == Origin::Configured;
        if self.failing.take().is_some() || !silent {
            course.end_whole(&mut self.whole);
        }
        if silent {
            course.unknown(WHOLE_RULE, &mut self.whole);
        }
    }

    /// Takes up alerts after a start, those that [`super::goes_on`] names. None of them
    /// is resolved or fires again for that; what changes is how much of their time counts.
    /// `down_since`: when the former process was last
    /// known to live; a pending alert's time counts until then. An alert that another
    /// expression answered is taken as by [`Self::change_rule`].
    pub fn restore(&mut self, alerts: Vec<Alert>, now: Now, down_since: Option<Timestamp>) -> Vec<Change> {
        let mut changes = Vec::new();
        for alert in alerts {
            let slot = if alert.key == WHOLE_RULE {
                &mut self.whole
            } else {
                self.instances.entry(Box::from(alert.key.as_str())).or_default()
            };
            let edited = alert.expr != self.rule.expr && alert.key != WHOLE_RULE;
            let uncounted_ms = alert.uncounted_ms;
            let mut other = Instance {
                flaps: alert.flapping.then(|| Box::new(Flaps::resumed(now.mono))),
                live: Some(Box::new(Episode::restored(alert, now, down_since))),
                ..Instance::default()
            };
            if rank(slot) == rank(&other) {
                continue;
            }
            if edited {
                again(&mut other, &self.rule, now, &mut changes);
            } else if let Some(live) = &other.live {
                let changed = live.is_timed() && live.alert.uncounted_ms != uncounted_ms;
                changes.extend(changed.then(|| live.change(News::Touched)));
            }
            // Of several of one label set the newest that is not over goes on.
            if rank(slot) < rank(&other) {
                std::mem::swap(slot, &mut other);
            }
            let mut course = Course {
                rule: &self.rule,
                judge: &self.judge,
                settings: self.settings,
                now,
                author: &mut Nobody,
                changes: Vec::new(),
            };
            course.retire(&mut other, "another alert of the same label set goes on");
            changes.append(&mut course.changes);
        }
        self.instances.retain(|_, slot| slot.live.is_some());
        self.last = Some(now);
        changes
    }

    /// Judges by another version of the rule from the next step on. An edit that leaves the
    /// expression alone keeps every state and its time; another expression makes what was
    /// told pending again, with its acknowledgement; a disabled rule ends all.
    pub fn change_rule(&mut self, rule: Arc<Rule>, now: Now) -> Vec<Change> {
        let before = std::mem::replace(&mut self.rule, rule);
        self.judge = Judge::new(&self.rule, self.settings);
        if !self.rule.enabled {
            return self.retire(now, "the rule was disabled");
        }
        let mut changes = Vec::new();
        if self.rule.expr != before.expr {
            self.failing = None;
            self.had_series = false;
            self.instances.retain(|_, slot| {
                again(slot, &self.rule, now, &mut changes);
                slot.live.is_some()
            });
        }
        for slot in self.instances.values_mut() {
            if let Some(live) = &mut slot.live {
                live.outdated = true;
            }
        }
        changes
    }

    /// The rule goes away: what was told is resolved, with `why`; what was pending is dropped.
    pub fn retire(&mut self, now: Now, why: &str) -> Vec<Change> {
        let mut course = Course {
            rule: &self.rule,
            judge: &self.judge,
            settings: self.settings,
            now,
            author: &mut Nobody,
            changes: Vec::new(),
        };
        for mut slot in std::mem::take(&mut self.instances).into_values() {
            course.retire(&mut slot, why);
        }
        course.retire(&mut self.whole, why);
        let changes = course.changes;
        self.whole = Instance::default();
        (self.failing, self.had_series) = (None, false);
        changes
    }

    /// Notes that the wall clock was set, so that a restart does not count the difference.
    fn shift(&mut self, now: Now) -> Vec<Change> {
        let Some(last) = self.last.replace(now) else { return Vec::new() };
        let expected = last.wall.plus(now.mono.since(last.mono));
        let ahead = now.wall.millis().saturating_sub(expected.millis());
        if ahead.unsigned_abs() < JUMP_MS {
            return Vec::new();
        }
        let slots = self.instances.values_mut().chain([&mut self.whole]);
        slots.filter_map(|slot| slot.live.as_mut()?.shift(ahead)).collect()
    }
}

/// Which of two with the same label set goes on.
fn rank(slot: &Instance) -> Option<(bool, &str)> {
    let live = slot.live.as_ref()?;
    Some((live.alert.state != AlertState::Resolved, &live.alert.id))
}

/// Makes an instance pending again because its expression is another one.
fn again(slot: &mut Instance, rule: &Rule, now: Now, changes: &mut Vec<Change>) {
    slot.missing = None;
    slot.flaps = None;
    let Some(live) = &mut slot.live else { return };
    live.alert.flapping = false;
    live.alert.expr.clone_from(&rule.expr);
    live.reached = Reached::default();
    live.entered = Since::now(now.mono);
    live.unseen = Unseen::SinceEdit;
    match live.alert.state {
        AlertState::Resolved | AlertState::Inactive => {
            changes.push(live.release(now));
            slot.live = None;
        }
        AlertState::Pending if !live.has_fired() => {
            live.enter(AlertState::Pending, now);
            (live.alert.started_at, live.alert.updated_at) = (now.wall, now.wall);
            changes.push(live.change(News::Touched));
        }
        // What the old expression had no data of.
        AlertState::Nodata | AlertState::Error if !live.has_fired() => {
            live.enter(AlertState::Resolved, now);
            let note = Some(String::from("the expression was edited"));
            changes.push(live.told(now, Happening::RuleChanged, None, note));
            slot.live = None;
        }
        _ => {
            live.enter(AlertState::Pending, now);
            let note = Some(String::from("the expression was edited"));
            changes.push(live.told(now, Happening::RuleChanged, None, note));
        }
    }
}

/// Where nothing begins, nobody is asked.
struct Nobody;

impl Author for Nobody {
    fn id(&mut self) -> String {
        String::new()
    }

    fn texts(&mut self, _: About<'_>) -> Texts {
        Texts::default()
    }
}
