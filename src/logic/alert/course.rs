//! What one step does to one instance.
//!
//! A reading is a value, nothing to judge by, or plainly clear; each has one function, which
//! looks at the state and moves on at most once (a nodata alert that never fired ends, and
//! then the value begins a new episode). One would get it wrong by asking for texts here
//! before something changed: most instances are fine most of the time, and cost a look-up.

use std::time::Duration;

use super::episode::{Episode, Instance, Unseen};
use super::flap::Flaps;
use super::judge::{Judge, Reached, Since};
use super::{About, Author, Change, News, Now, Settings};
use crate::base::units::Span;
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::rule::{Absent, Flap, Rule};
use crate::model::severity::Severity;

/// One step of one rule.
pub(super) struct Course<'a> {
    pub rule: &'a Rule,
    pub judge: &'a Judge,
    pub settings: Settings,
    pub now: Now,
    pub author: &'a mut dyn Author,
    pub changes: Vec<Change>,
}

impl Course<'_> {
    /// What time alone does: acknowledgements and flapping end.
    pub fn pass_time(&mut self, slot: &mut Instance) {
        if let Some(change) = slot.live.as_mut().and_then(|live| live.pass_time(self.now)) {
            self.changes.push(change);
        }
        let Some(flaps) = &slot.flaps else { return };
        if !flaps.is_over(self.flap_rule(), self.now.mono) {
            return;
        }
        let flapped = flaps.flapping;
        slot.flaps = None;
        if let Some(live) = slot.live.as_mut().filter(|live| flapped && live.alert.flapping) {
            live.alert.flapping = false;
            self.changes.push(live.told(self.now, Happening::FlappingEnded, None, None));
        }
        self.forget_ended(slot);
    }

    /// A sample that can be judged.
    pub fn value(&mut self, key: &str, sample: usize, slot: &mut Instance, value: f64) {
        slot.missing = None;
        let Some(live) = slot.live.as_mut() else {
            if self.judge.any(value) {
                self.begin(key, Some(sample), slot, value, Reached::default());
            }
            return;
        };
        live.unseen = Unseen::No;
        let standing = live.standing();
        let beyond = self.judge.mark(&mut live.reached, value, standing, self.now.mono);
        match live.alert.state {
            AlertState::Pending => self.pending(key, sample, slot, value, beyond),
            AlertState::Firing => self.firing(key, sample, slot, value, beyond),
            AlertState::Nodata | AlertState::Error if !live.has_fired() => {
                self.resolve(slot, Happening::Resolved, Some(String::from("there is data again")));
                self.value(key, sample, slot, value);
            }
            AlertState::Recovering | AlertState::Nodata | AlertState::Error if beyond => {
                self.relapse(key, Some(sample), slot, Some(value));
            }
            AlertState::Recovering | AlertState::Nodata | AlertState::Error => self.clear(slot, Some(value)),
            AlertState::Resolved | AlertState::Inactive => self.over(key, sample, slot, value, beyond),
        }
    }

    fn pending(&mut self, key: &str, sample: usize, slot: &mut Instance, value: f64, beyond: bool) {
        let Some(live) = slot.live.as_mut().filter(|_| beyond) else {
            return self.clear(slot, Some(value));
        };
        live.alert.value = Some(value);
        if let Some(severity) = self.judge.top(&live.reached, None, self.now.mono) {
            live.set_severity(severity);
            return self.fire(key, Some(sample), slot, None);
        }
        let next = self.judge.next(&live.reached, self.now.mono);
        if next != live.alert.severity || live.outdated {
            live.set_severity(next);
            live.alert.peak = next;
            live.alert.updated_at = self.now.wall;
            self.write(key, Some(sample), live);
            self.changes.push(live.change(News::Touched));
        }
    }

    fn firing(&mut self, key: &str, sample: usize, slot: &mut Instance, value: f64, beyond: bool) {
        let Some(live) = slot.live.as_mut().filter(|_| beyond) else {
            return self.clear(slot, Some(value));
        };
        let before = live.alert.severity;
        let refresh = live.outdated || live.alert.value.is_none();
        live.alert.value = Some(value);
        // No level within reach of `for` yet: one above was reached when the rule lost its own.
        let severity = self.judge.top(&live.reached, Some(before), self.now.mono).unwrap_or(before);
        if severity != before {
            live.set_severity(severity);
            self.write(key, Some(sample), live);
            let what = if severity > before { Happening::Worsened } else { Happening::Eased };
            self.changes.push(live.told(self.now, what, None, None));
        } else if refresh {
            live.alert.updated_at = self.now.wall;
            self.write(key, Some(sample), live);
            self.changes.push(live.change(News::Touched));
        }
        self.rearm(live);
    }

    /// Ends an acknowledgement that the value outgrew. After the line that says how, so that
    /// one of the two is told and not both.
    fn rearm(&mut self, live: &mut Episode) {
        let Some(ack) = &live.alert.acknowledged else { return };
        let worse = match (self.rule.ack_rearm, live.alert.value, ack.value) {
            (Some(share), Some(value), Some(then)) => self.judge.worsened(value, then, share),
            _ => false,
        };
        if live.alert.severity > ack.severity {
            self.changes.push(live.rearm(self.now, None, "the level rose"));
        } else if worse {
            self.changes.push(live.rearm(self.now, None, "the value worsened"));
        }
    }

    /// An alert that ended and is still kept: resolved by hand, or flapping.
    fn over(&mut self, key: &str, sample: usize, slot: &mut Instance, value: f64, beyond: bool) {
        let Some(live) = slot.live.as_mut() else { return };
        if !live.is_held() {
            if self.judge.any(value) {
                self.begin(key, Some(sample), slot, value, Reached::default());
            }
            return;
        }
        if beyond && !self.is_due(live) {
            return;
        }
        self.changes.push(live.release(self.now));
        let reached = live.reached;
        self.forget_ended(slot);
        if self.judge.any(value) {
            self.begin(key, Some(sample), slot, value, reached);
        }
    }

    /// Whether a manual resolve has held long enough.
    fn is_due(&self, live: &Episode) -> bool {
        let waited = live.entered.elapsed(self.now.mono);
        self.rule.re_raise_after.is_some_and(|after| waited >= after)
    }

    /// A restored alert whose series had no time yet to come back.
    fn may_come_back(&self, slot: &Instance) -> bool {
        let unseen = slot.live.as_ref().map(|live| live.unseen);
        let lookback = self.settings.lookback;
        matches!(unseen, Some(Unseen::SinceStart(start)) if self.now.mono.since(start) < lookback)
    }

    /// Nothing to judge by: a sample that is not a number or has too little data, or none.
    pub fn unknown(&mut self, key: &str, slot: &mut Instance) {
        match self.judge.absent {
            None => {}
            Some(_) if self.may_come_back(slot) => {}
            Some(Absent::Ok) => {
                slot.missing = None;
                self.clear(slot, None);
            }
            Some(absent) => {
                let since = *slot.missing.get_or_insert(self.now.mono);
                if self.now.mono.since(since) >= self.judge.grace {
                    self.without_data(key, slot, absent, None);
                }
            }
        }
    }

    /// No sample in an answer; whether the instance is worth keeping.
    pub fn gone(&mut self, key: &str, slot: &mut Instance) -> bool {
        self.pass_time(slot);
        if self.may_come_back(slot) {
            return true;
        }
        if slot.live.as_ref().is_some_and(|live| live.unseen == Unseen::SinceEdit) {
            self.retire(slot, "the edited expression does not answer it any more");
            return !slot.is_blank();
        }
        if self.judge.absent.is_none() {
            slot.missing = None;
            self.clear(slot, None);
        } else {
            self.unknown(key, slot);
        }
        !slot.is_blank() || slot.missing.is_some()
    }

    /// The condition is false.
    pub fn clear(&mut self, slot: &mut Instance, value: Option<f64>) {
        let Some(live) = slot.live.as_mut() else { return };
        match value {
            Some(_) => live.alert.value = value,
            None => live.reached = Reached::default(),
        }
        match live.alert.state {
            AlertState::Pending | AlertState::Nodata | AlertState::Error if !live.has_fired() => {
                if live.alert.state == AlertState::Pending {
                    self.drop_pending(slot);
                } else {
                    self.resolve(slot, Happening::Resolved, None);
                }
            }
            AlertState::Recovering => {
                if live.entered.elapsed(self.now.mono) >= self.judge.clear_for {
                    self.resolve(slot, Happening::Resolved, None);
                }
            }
            AlertState::Firing | AlertState::Pending | AlertState::Nodata | AlertState::Error => {
                let fired = live.alert.state == AlertState::Firing;
                if self.judge.clear_for.is_zero() {
                    self.resolve(slot, Happening::Resolved, None);
                } else {
                    live.enter(AlertState::Recovering, self.now);
                    self.changes.push(live.told(self.now, Happening::Recovering, None, None));
                    if fired {
                        self.flip(slot);
                    }
                }
            }
            AlertState::Resolved | AlertState::Inactive => {
                if live.is_held() {
                    self.changes.push(live.release(self.now));
                    self.forget_ended(slot);
                }
            }
        }
    }

    /// Missing for longer than the grace, or an expression that fails: `error` says how.
    pub fn without_data(&mut self, key: &str, slot: &mut Instance, absent: Absent, error: Option<&str>) {
        let (state, what) = match absent {
            Absent::Alert => (AlertState::Firing, Happening::Fired),
            Absent::Error => (AlertState::Error, Happening::Error),
            Absent::Keep | Absent::Ok => (AlertState::Nodata, Happening::Nodata),
        };
        let missing = || format!("no data for {}", Span(self.judge.grace));
        if let Some(live) = slot.live.as_mut().filter(|live| live.is_held()) {
            if !self.is_due(live) {
                return;
            }
            self.changes.push(live.release(self.now));
        }
        match slot.live.as_mut() {
            Some(live) if live.alert.state == state => {}
            Some(live) if live.alert.state != AlertState::Resolved => {
                if live.alert.state == AlertState::Recovering {
                    // Its last value was fine, and is not why it is as it is.
                    live.alert.value = None;
                }
                let note = error.map_or_else(missing, str::to_owned);
                if state == AlertState::Firing {
                    return self.fire_without_data(key, slot, note);
                }
                live.enter(state, self.now);
                live.alert.error = (state == AlertState::Error).then(|| note.clone());
                self.write(key, None, live);
                self.changes.push(live.told(self.now, what, None, Some(note)));
            }
            _ => {
                let note = error.map_or_else(missing, str::to_owned);
                let severity = self.judge.lowest;
                let mut live = self.fresh(key, slot, severity, None);
                live.enter(state, self.now);
                live.alert.error = (state == AlertState::Error).then(|| note.clone());
                self.write(key, None, &mut live);
                self.changes.push(live.told(self.now, what, None, Some(note)));
                slot.live = Some(live);
                if state == AlertState::Firing {
                    self.flip(slot);
                }
            }
        }
    }

    fn fire_without_data(&mut self, key: &str, slot: &mut Instance, note: String) {
        if slot.live.as_ref().is_some_and(|live| live.has_fired()) {
            self.relapse(key, None, slot, None);
        } else {
            self.fire(key, None, slot, Some(note));
        }
    }

    /// A new episode.
    fn begin(&mut self, key: &str, sample: Option<usize>, slot: &mut Instance, value: f64, reached: Reached) {
        let mut reached = reached;
        self.judge.mark(&mut reached, value, None, self.now.mono);
        let top = self.judge.top(&reached, None, self.now.mono);
        let severity = top.unwrap_or_else(|| self.judge.next(&reached, self.now.mono));
        let mut live = self.fresh(key, slot, severity, Some(value));
        live.reached = reached;
        if top.is_some() {
            slot.live = Some(live);
            return self.fire(key, sample, slot, None);
        }
        live.enter(AlertState::Pending, self.now);
        self.write(key, sample, &mut live);
        self.changes.push(live.told(self.now, Happening::Pending, None, None));
        slot.live = Some(live);
    }

    /// An alert that has no state yet, in place of one that ended.
    fn fresh(
        &mut self,
        key: &str,
        slot: &mut Instance,
        severity: Severity,
        value: Option<f64>,
    ) -> Box<Episode> {
        if let Some(live) = slot.live.as_mut().filter(|live| live.alert.flapping) {
            live.alert.flapping = false;
            self.changes.push(live.change(News::Touched));
        }
        let alert = Alert {
            id: self.author.id(),
            key: key.to_owned(),
            rule: self.rule.name.clone(),
            expr: self.rule.expr.clone(),
            severity,
            peak: severity,
            value,
            since: self.now.wall,
            started_at: self.now.wall,
            updated_at: self.now.wall,
            flapping: slot.flaps.as_ref().is_some_and(|flaps| flaps.flapping),
            ..Alert::default()
        };
        Box::new(Episode {
            alert,
            entered: Since::now(self.now.mono),
            reached: Reached::default(),
            ack_until: None,
            unseen: Unseen::No,
            outdated: false,
        })
    }

    /// To firing, for the first time or again in the same episode.
    fn fire(&mut self, key: &str, sample: Option<usize>, slot: &mut Instance, note: Option<String>) {
        let Some(live) = slot.live.as_mut() else { return };
        let what = if live.has_fired() { Happening::Relapsed } else { Happening::Fired };
        live.enter(AlertState::Firing, self.now);
        self.write(key, sample, live);
        self.changes.push(live.told(self.now, what, None, note));
        self.rearm(live);
        self.flip(slot);
    }

    fn relapse(&mut self, key: &str, sample: Option<usize>, slot: &mut Instance, value: Option<f64>) {
        let Some(live) = slot.live.as_mut() else { return };
        if value.is_some() {
            live.alert.value = value;
            let before = live.alert.severity;
            let severity = self.judge.top(&live.reached, Some(before), self.now.mono).unwrap_or(before);
            live.set_severity(severity);
        }
        let steady = matches!(live.alert.state, AlertState::Nodata | AlertState::Error);
        let note = sample.is_none().then(|| format!("no data for {}", Span(self.judge.grace)));
        live.enter(AlertState::Firing, self.now);
        self.write(key, sample, live);
        self.changes.push(live.told(self.now, Happening::Relapsed, None, note));
        self.rearm(live);
        if !steady {
            self.flip(slot);
        }
    }

    fn drop_pending(&mut self, slot: &mut Instance) {
        if let Some(live) = slot.live.take() {
            self.changes.push(live.change(News::Dropped));
        }
    }

    fn resolve(&mut self, slot: &mut Instance, what: Happening, note: Option<String>) {
        let Some(live) = slot.live.as_mut() else { return };
        let fired = live.alert.state == AlertState::Firing;
        live.enter(AlertState::Resolved, self.now);
        self.changes.push(live.told(self.now, what, None, note));
        if fired && what == Happening::Resolved {
            self.flip(slot);
        }
        self.forget_ended(slot);
    }

    /// What was said of the rule itself is over.
    pub fn end_whole(&mut self, slot: &mut Instance) {
        slot.missing = None;
        match slot.live.as_mut() {
            Some(live) if live.is_held() => {
                self.changes.push(live.release(self.now));
                self.forget_ended(slot);
            }
            Some(live) if live.alert.state.is_active() => self.resolve(slot, Happening::Resolved, None),
            _ => {}
        }
    }

    /// The rule is no more, or does not speak of it any more.
    pub fn retire(&mut self, slot: &mut Instance, why: &str) {
        slot.flaps = None;
        let Some(live) = slot.live.as_mut() else { return };
        live.alert.flapping = false;
        match live.alert.state {
            AlertState::Pending if !live.has_fired() => self.drop_pending(slot),
            AlertState::Resolved | AlertState::Inactive => {
                self.changes.push(live.release(self.now));
                slot.live = None;
            }
            _ => self.resolve(slot, Happening::RuleChanged, Some(why.to_owned())),
        }
    }

    /// An ended alert is kept only while it has a say.
    fn forget_ended(&self, slot: &mut Instance) {
        let ended = |live: &Episode| {
            live.alert.state == AlertState::Resolved && !live.is_held() && !live.alert.flapping
        };
        if slot.live.as_deref().is_some_and(ended) {
            slot.live = None;
        }
    }

    /// Counts a change between firing and not firing.
    fn flip(&mut self, slot: &mut Instance) {
        let Some(rule) = self.flap_rule().copied() else { return };
        let begins = slot.flaps.get_or_insert_with(Box::<Flaps>::default).count(&rule, self.now.mono);
        if let Some(live) = slot.live.as_mut().filter(|_| begins) {
            live.alert.flapping = true;
            let note = format!("{} changes within {}", rule.changes, Span(rule.window));
            self.changes.push(live.told(self.now, Happening::FlappingStarted, None, Some(note)));
        }
    }

    fn flap_rule(&self) -> Option<&Flap> {
        self.rule.flap.as_ref().filter(|flap| flap.changes > 0 && flap.window > Duration::ZERO)
    }

    fn write(&mut self, key: &str, sample: Option<usize>, live: &mut Episode) {
        let alert = &mut live.alert;
        alert.threshold = alert.value.and_then(|_| self.judge.limit(alert.severity));
        let about = About {
            rule: self.rule,
            key,
            sample,
            state: alert.state,
            severity: alert.severity,
            value: alert.value,
            threshold: alert.threshold,
            error: alert.error.as_deref(),
        };
        let texts = self.author.texts(about);
        live.write(texts);
    }
}
