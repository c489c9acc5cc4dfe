//! Whether anybody may be told that an alert fires: silences, and parents that explain it.
//!
//! A parent mutes its child while it is at least as severe and people know of it: a row
//! about it was delivered or is still waiting, or it is muted itself. A parent of which
//! nobody can be told mutes nobody. Two things beyond that keep one cause at one message.
//! A child waits while a parent has yet to fire or to be told of; and after a parent
//! ended, its children stay muted for as long as their expressions look back, because
//! until then they see the outage that is over.
//!
//! And a parent that fires only after a child was told of, because it takes longer to be
//! sure, is muted by that child: its cause is known.
//!
//! One would get it wrong by waiting without a bound: two rules that name each other as
//! parents would wait for each other for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Notifier;
use super::matching::Matching;
use super::subject::Subject;
use crate::base::time::Timestamp;
use crate::model::alert::AlertState;
use crate::model::rule::Parent;
use crate::model::silence::Silence;

/// Beyond its own settling time a child waits at most so long for a parent to fire.
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// A child sees an outage so much longer than it looks back: evaluations come at intervals.
const AFTER_LOOKBACK: Duration = Duration::from_secs(60);
/// Parents of parents that are asked.
const MOST_GENERATIONS: u32 = 4;

/// Why nobody is told of an alert, apart from what the alert itself says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Muted {
    /// Ids of the silences that match; those of planned work not among them.
    pub silences: Vec<String>,
    /// A silence of planned work matches.
    pub maintenance: bool,
    /// Ids of the alerts that explain it.
    pub inhibited_by: Vec<String>,
    /// It waits, at most until then, for a parent that may explain it.
    pub waits_until: Option<Timestamp>,
    /// A parent is over, but until then the expression still sees it.
    pub sees_until: Option<Timestamp>,
}

impl Muted {
    pub fn is_muted(&self) -> bool {
        *self != Self::default()
    }
}

#[derive(Clone, Debug)]
pub(super) struct CompiledSilence {
    pub silence: Silence,
    /// `None` where an expression is wrong: it matches nothing.
    matching: Option<Matching>,
}

impl CompiledSilence {
    pub fn new(silence: Silence) -> Self {
        let matching = Matching::new(&silence.matchers).ok();
        Self { silence, matching }
    }

    fn mutes(&self, labels: &BTreeMap<String, String>, now: Timestamp) -> bool {
        let valid = self.silence.starts_at <= now && now < self.silence.ends_at;
        // Without a matcher it would match everything by mistake.
        let any = !self.silence.matchers.is_empty();
        valid && any && self.matching.as_ref().is_some_and(|matching| matching.accepts(labels))
    }
}

/// Whether people know of an alert.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    /// They will.
    NotYet,
    /// They cannot be told.
    No,
}

impl Notifier {
    /// Why nobody is told that this alert fires; `None` when there is no such alert.
    pub fn muted(&self, alert: &str) -> Option<Muted> {
        self.subjects.get(alert).map(|subject| self.mutes(subject, self.now.wall))
    }

    pub(super) fn mutes(&self, subject: &Subject, now: Timestamp) -> Muted {
        let mut muted = self.silenced(subject, now);
        self.inhibit(subject, now, MOST_GENERATIONS, &mut muted);
        muted.inhibited_by.extend(self.forestalled(subject).map(|child| child.id().to_owned()));
        muted
    }

    fn silenced(&self, subject: &Subject, now: Timestamp) -> Muted {
        let mut muted = Muted::default();
        for compiled in self.silences.iter().filter(|silence| silence.mutes(&subject.shown.labels, now)) {
            if compiled.silence.maintenance {
                muted.maintenance = true;
            } else {
                muted.silences.push(compiled.silence.id.clone());
            }
        }
        muted
    }

    fn inhibit(&self, child: &Subject, now: Timestamp, generations: u32, muted: &mut Muted) {
        let waits_until = child.fired.plus(child.policy.settle).plus(LONGEST_WAIT);
        let sees = child.policy.lookback.saturating_add(AFTER_LOOKBACK);
        for (parent, how) in self.parents(child) {
            if parent.id() == child.id() || !is_explained(child, parent, how) {
                continue;
            }
            if self.forestalled(parent).any(|first| first.id() == child.id()) {
                continue;
            }
            let known = match parent.state {
                AlertState::Pending => Known::NotYet,
                AlertState::Firing | AlertState::Recovering => self.known(parent, now, generations),
                _ => Known::No,
            };
            match (known, parent.ended) {
                (Known::Yes, _) => muted.inhibited_by.push(parent.id().to_owned()),
                (Known::NotYet, _) if now < waits_until => muted.waits_until = Some(waits_until),
                (_, Some(ended)) if parent.telling.explained && now < ended.plus(sees) => {
                    muted.sees_until = muted.sees_until.max(Some(ended.plus(sees)));
                }
                _ => {}
            }
        }
        let settled = child.fired.plus(child.policy.settle);
        if muted.inhibited_by.is_empty() && now < settled {
            muted.waits_until = Some(settled);
        }
    }

    /// Children that people were told of before `parent` fired: what is as bad and has the
    /// same cause is no news. That goes for a child that every channel of the parent was told
    /// of; else one of them would hear of nothing. Of a parent that people know of there are
    /// none.
    fn forestalled<'a>(&'a self, parent: &'a Subject) -> impl Iterator<Item = &'a Subject> {
        let known = parent.telling.channels.iter().any(|told| told.fired)
            || self.rows.about(parent.id()).next().is_some();
        let mut rules =
            self.children.get(&parent.shown.rule).filter(|_| !known).into_iter().flatten().peekable();
        let ways = match rules.peek() {
            Some(_) => self.settings.ways(&parent.shown, &parent.policy),
            None => Vec::new(),
        };
        let told = move |child: &&Subject| {
            let heard = |channel: &str| child.told(channel).is_some_and(|told| told.fired);
            child.is_live() && !ways.is_empty() && ways.iter().all(|way| heard(&way.channel))
        };
        let related = |child: &&Subject| {
            let depends = |how: &&Parent| how.rule == parent.shown.rule;
            let mut ways = child.policy.depends_on.iter().filter(depends);
            child.shown.severity >= parent.peak
                && ways.any(|how| are_related(&child.shown.labels, &parent.shown.labels, &how.on))
        };
        rules
            .flat_map(|rule| self.of_rule(rule))
            .filter(told)
            .filter(move |child| child.id() != parent.id() && related(child))
    }

    fn parents<'a>(&'a self, child: &'a Subject) -> impl Iterator<Item = (&'a Subject, &'a Parent)> {
        child
            .policy
            .depends_on
            .iter()
            .flat_map(move |how| self.of_rule(&how.rule).map(move |parent| (parent, how)))
    }

    fn known(&self, subject: &Subject, now: Timestamp, generations: u32) -> Known {
        if self.rows.about(subject.id()).next().is_some()
            || subject.telling.channels.iter().any(|told| told.fired)
        {
            return Known::Yes;
        }
        let mut muted = self.silenced(subject, now);
        if muted.is_muted() || subject.flapping || self.forestalled(subject).next().is_some() {
            return Known::Yes;
        }
        if generations > 0 {
            self.inhibit(subject, now, generations - 1, &mut muted);
            if !muted.inhibited_by.is_empty() || muted.sees_until.is_some() {
                return Known::Yes;
            }
        }
        let given_up = !subject.telling.channels.is_empty();
        let unheard = || self.settings.ways(&subject.shown, &subject.policy).is_empty();
        if given_up || unheard() { Known::No } else { Known::NotYet }
    }

    /// Whether people know enough of `subject` for it to mute its children once it is over.
    pub(super) fn explains(&self, subject: &Subject, now: Timestamp) -> bool {
        self.known(subject, now, MOST_GENERATIONS) == Known::Yes
    }
}

/// Whether the alerts are about the same thing, and the parent is bad enough.
fn is_explained(child: &Subject, parent: &Subject, how: &Parent) -> bool {
    let severity = if parent.is_over() { parent.peak } else { parent.shown.severity };
    severity >= child.shown.severity && are_related(&child.shown.labels, &parent.shown.labels, &how.on)
}

/// Labels that name the rule rather than what it is about.
const OF_THE_RULE: [&str; 2] = ["alertname", "severity"];

fn are_related(child: &BTreeMap<String, String>, parent: &BTreeMap<String, String>, on: &[String]) -> bool {
    if !on.is_empty() {
        return on.iter().all(|label| child.get(label) == parent.get(label));
    }
    let mut common = child
        .iter()
        .filter(|(label, _)| !OF_THE_RULE.contains(&label.as_str()))
        .filter_map(|(label, value)| parent.get(label).map(|other| value == other))
        .peekable();
    common.peek().is_some() && common.all(|equal| equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        text.split(' ')
            .filter_map(|pair| pair.split_once('='))
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn a_parent_is_about_the_same_thing() {
        let cases = [
            ("target=a mount=/x alertname=c", "target=a alertname=p", "", true),
            ("target=a", "target=b", "", false),
            ("target=a instance=1", "target=a instance=2", "", false),
            ("target=a instance=1", "target=a instance=2", "target", true),
            ("alertname=c severity=high", "alertname=c severity=high", "", false),
            ("target=a", "mount=/", "", false),
            // As in Prometheus, what is missing in both is equal.
            ("target=a", "mount=/", "host", true),
        ];
        for (child, parent, on, expected) in cases {
            let on: Vec<String> = on.split_whitespace().map(String::from).collect();
            assert_eq!(are_related(&labels(child), &labels(parent), &on), expected, "{child} of {parent}");
        }
    }
}
