//! What a rule would have done: its answers of the past through the same life cycle and
//! the same policy of notifications as those of today.
//!
//! Time is that of the steps, on both clocks. Messages are taken as delivered at once by
//! one channel. One would get it wrong with a machine of its own for counting: it would
//! say how another rule than the real one behaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::alert::{About, Author, Change, Input, News, Now, RuleState, Sample, Settings, Texts, WHOLE_RULE};
use super::notify::{self, Notifier, Occurrence, Outcome, Policy, Restored, Use};
use crate::base::time::{Monotonic, Timestamp};
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::notice::NoticeKind;
use crate::model::rule::RuleOf;
use crate::model::severity::Severity;
use crate::promql::Labels;

/// Name of the only channel.
const CHANNEL: &str = "replay";
/// Episodes that are kept, the oldest first.
const MOST_EPISODES: usize = 500;
/// Messages that one step hands out at once.
const MOST_DUE: usize = 1000;

/// Times between two steps at which messages are sent.
const MOST_BETWEEN: usize = 8;

/// One element of what the expression answered at a step.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The label set in its canonical form.
    pub key: Arc<str>,
    pub labels: Labels,
    pub value: f64,
}

/// What happened to one label set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tally {
    pub labels: BTreeMap<String, String>,
    pub firings: u64,
    /// It fired again before it was resolved.
    pub relapses: u64,
    pub worsened: u64,
    pub resolves: u64,
    /// How often it was called flapping.
    pub flaps: u64,
    /// How often its data went missing.
    pub nodata: u64,
    pub firing: Duration,
    pub peak: Option<Severity>,
    pub last_fired: Option<Timestamp>,
    open: Option<Timestamp>,
}

/// One time that a label set fired.
#[derive(Clone, PartialEq, Debug)]
pub struct Episode {
    pub key: String,
    pub fired_at: Timestamp,
    /// `None`: it fires at the end.
    pub ended_at: Option<Timestamp>,
    pub peak: Severity,
}

/// What came of all steps.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Replayed {
    /// By canonical label set; [`WHOLE_RULE`] is the rule itself.
    pub instances: BTreeMap<String, Tally>,
    pub episodes: Vec<Episode>,
    /// Episodes that found no room.
    pub left_out: usize,
    /// Messages to one channel, by their kind.
    pub notices: BTreeMap<NoticeKind, u64>,
    /// Label sets beyond what a rule may have.
    pub refused: usize,
}

/// See the module.
pub struct Replay {
    of: RuleOf,
    base: RuleState,
    variants: Vec<Option<RuleState>>,
    notifier: Notifier,
    policy: Arc<Policy>,
    ids: u64,
    start: Timestamp,
    /// Time of the newest step.
    last: Timestamp,
    done: Replayed,
    /// Where the episode of a label set stands.
    places: HashMap<String, usize>,
}

impl Replay {
    /// `lookback`: how far the expression looks back. A rule that is switched off is
    /// replayed as if it were on.
    pub fn new(of: &RuleOf, settings: Settings, lookback: Duration, start: Timestamp) -> Self {
        let mut of = of.clone();
        of.rule.enabled = true;
        of.variants.iter_mut().filter_map(|one| one.rule.as_mut()).for_each(|rule| rule.enabled = true);
        let state = |rule: &crate::model::rule::Rule| RuleState::new(Arc::new(rule.clone()), settings);
        let mut policy = Policy::of(&of.rule, lookback);
        policy.escalate.clear();
        if !policy.notify.is_empty() {
            policy.notify = vec![CHANNEL.to_owned()];
        }
        let channels = BTreeMap::from([(CHANNEL.to_owned(), Use { enabled: true, resolves: true })]);
        let told = notify::Settings { channels, ..notify::Settings::default() };
        let now = Now { wall: start, mono: Monotonic(Duration::ZERO) };
        Self {
            base: state(&of.rule),
            variants: of.variants.iter().map(|one| one.rule.as_ref().map(&state)).collect(),
            notifier: Notifier::restore(told, Restored::default(), [], now),
            policy: Arc::new(policy),
            ids: 0,
            start,
            last: start,
            done: Replayed::default(),
            places: HashMap::new(),
            of,
        }
    }

    /// Judges what the expression answered at `at`, which is not before the step before.
    pub fn step(&mut self, at: Timestamp, answers: &[Answer]) {
        self.deliver_before(at);
        let now = self.now(at);
        let mut parts: Vec<Vec<&Answer>> = vec![Vec::new(); self.variants.len() + 1];
        for answer in answers {
            let place = self.of.variant(|name| answer.labels.value(name)).map_or(0, |place| place + 1);
            if let Some(part) = parts.get_mut(place) {
                part.push(answer);
            }
        }
        let mut changes = Vec::new();
        let states =
            std::iter::once(Some(&mut self.base)).chain(self.variants.iter_mut().map(Option::as_mut));
        for (state, part) in states.zip(&parts) {
            let Some(state) = state else { continue };
            let samples: Vec<Sample<'_>> =
                part.iter().map(|one| Sample { key: &one.key, value: one.value, enough: true }).collect();
            let mut author = Counting { ids: &mut self.ids, answers: part };
            let outcome = state.step(now, Input::Samples(&samples), &mut author);
            self.done.refused = self.done.refused.max(outcome.refused);
            changes.extend(outcome.changes);
        }
        self.tell(&changes, now);
        for change in &changes {
            self.count(change, at);
        }
    }

    /// Ends at `at`, the time of the last step.
    pub fn finish(mut self, at: Timestamp) -> Replayed {
        for tally in self.done.instances.values_mut() {
            if let Some(since) = tally.open.take() {
                tally.firing += at.since(since);
            }
        }
        self.done
    }

    fn tell(&mut self, changes: &[Change], now: Now) {
        let mut occurrences = Vec::new();
        for change in changes {
            let what = match change.news {
                News::Step(what) => Some(what),
                News::Touched => None,
                News::Dropped => {
                    self.notifier.forget(&change.alert.id);
                    continue;
                }
            };
            occurrences.push(Occurrence { alert: &change.alert, policy: &self.policy, what });
        }
        if !occurrences.is_empty() {
            self.notifier.apply(&occurrences, now);
        } else if self.notifier.next() > now.wall {
            return;
        }
        self.deliver(now);
    }

    /// Sends what was due between the last step and `at`: what comes at `at` is no part of it.
    fn deliver_before(&mut self, at: Timestamp) {
        for _ in 0..MOST_BETWEEN {
            let due = self.notifier.next().max(self.last);
            if due >= at {
                break;
            }
            self.deliver(self.now(due));
        }
        self.last = at;
    }

    fn now(&self, at: Timestamp) -> Now {
        Now { wall: at, mono: Monotonic(at.since(self.start)) }
    }

    fn deliver(&mut self, now: Now) {
        self.notifier.tick(now);
        self.notifier.take();
        for notice in self.notifier.due(CHANNEL, now, MOST_DUE) {
            *self.done.notices.entry(notice.kind).or_default() += 1;
            let delivered = Outcome::Delivered { answer: String::new(), took: Duration::ZERO };
            self.notifier.report(&notice.id, delivered, now, 0.0);
        }
        self.notifier.take();
    }

    fn count(&mut self, change: &Change, at: Timestamp) {
        let News::Step(what) = change.news else { return };
        let alert = &change.alert;
        let tally = self
            .done
            .instances
            .entry(alert.key.clone())
            .or_insert_with(|| Tally { labels: alert.labels.clone(), ..Tally::default() });
        match what {
            Happening::Fired => tally.firings += 1,
            Happening::Relapsed => tally.relapses += 1,
            Happening::Worsened => tally.worsened += 1,
            Happening::Resolved => tally.resolves += 1,
            Happening::FlappingStarted => tally.flaps += 1,
            Happening::Nodata | Happening::Error => tally.nodata += 1,
            _ => {}
        }
        let fires = matches!(alert.state, AlertState::Firing | AlertState::Recovering);
        match (fires, tally.open) {
            (true, None) => {
                tally.open = Some(at);
                tally.last_fired = Some(at);
            }
            (false, Some(since)) => {
                tally.firing += at.since(since);
                tally.open = None;
            }
            _ => {}
        }
        if fires {
            tally.peak = tally.peak.max(Some(alert.peak));
        }
        self.note_episode(alert, fires, at);
    }

    fn note_episode(&mut self, alert: &Alert, fires: bool, at: Timestamp) {
        if let Some(place) = self.places.get(&alert.key).copied() {
            let Some(episode) = self.done.episodes.get_mut(place) else { return };
            if fires {
                episode.peak = episode.peak.max(alert.peak);
            } else {
                episode.ended_at = Some(at);
                self.places.remove(&alert.key);
            }
        } else if fires && self.done.episodes.len() < MOST_EPISODES {
            self.places.insert(alert.key.clone(), self.done.episodes.len());
            let (key, peak) = (alert.key.clone(), alert.peak);
            self.done.episodes.push(Episode { key, fired_at: at, ended_at: None, peak });
        } else if fires && alert.fired_at == Some(at) {
            self.done.left_out += 1;
        }
    }
}

/// Names alerts by a number and writes no more than their labels.
struct Counting<'a> {
    ids: &'a mut u64,
    answers: &'a [&'a Answer],
}

impl Author for Counting<'_> {
    fn id(&mut self) -> String {
        *self.ids += 1;
        format!("{:016x}", self.ids)
    }

    fn texts(&mut self, about: About<'_>) -> Texts {
        let labels = match about.sample.and_then(|place| self.answers.get(place)) {
            Some(answer) => answer.labels.clone(),
            None if about.key == WHOLE_RULE => Labels::empty(),
            None => Labels::from_key(about.key),
        };
        let own = labels.unnamed();
        let mut labels: BTreeMap<String, String> =
            own.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        labels.insert(String::from("alertname"), about.rule.alert.clone());
        Texts { labels, title: about.rule.alert.clone(), ..Texts::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::rule::{Judgement, Levels, Rule};

    fn rule() -> RuleOf {
        let limits = BTreeMap::from([(Severity::Medium, 10.0), (Severity::Critical, 20.0)]);
        let rule = Rule {
            name: String::from("hot"),
            alert: String::from("hot"),
            judgement: Judgement::Levels(Levels { limits, ..Levels::default() }),
            hold: Duration::from_secs(120),
            ..Rule::default()
        };
        RuleOf { rule, variants: Vec::new() }
    }

    fn replayed(of: &RuleOf, values: &[f64]) -> Replayed {
        let start = Timestamp(1_000_000_000);
        let at = |step: usize| start.plus(Duration::from_secs(60 * step as u64));
        let mut replay = Replay::new(of, Settings::default(), Duration::ZERO, start);
        for (step, value) in values.iter().enumerate() {
            let labels = Labels::new([("room", "attic")]);
            let answer = Answer { key: Arc::from(labels.to_key()), labels, value: *value };
            replay.step(at(step), &[answer]);
        }
        replay.finish(at(values.len().saturating_sub(1)))
    }

    #[test]
    fn firings_times_and_messages_are_counted() {
        let values = [1.0, 11.0, 11.0, 11.0, 25.0, 25.0, 25.0, 1.0, 1.0, 11.0, 1.0, 11.0, 11.0, 11.0, 11.0];
        let done = replayed(&rule(), &values);
        let tally = &done.instances["{room=\"attic\"}"];
        assert_eq!((tally.firings, tally.worsened, tally.resolves), (2, 1, 1), "{tally:?}");
        // Minutes 3 to 7, and from minute 13 to the last.
        assert_eq!(tally.firing, Duration::from_secs(5 * 60));
        assert_eq!(tally.peak, Some(Severity::Critical));
        assert_eq!(tally.labels["room"], "attic");
        let ends: Vec<bool> = done.episodes.iter().map(|one| one.ended_at.is_some()).collect();
        assert_eq!(ends, [true, false]);
        let told = |kind| done.notices.get(&kind).copied().unwrap_or_default();
        assert_eq!(
            (told(NoticeKind::Firing), told(NoticeKind::Worsened), told(NoticeKind::Resolved)),
            (2, 1, 1),
            "{:?}",
            done.notices
        );
    }

    #[test]
    fn a_rule_that_is_off_is_replayed_and_its_channels_are_one() {
        let mut of = rule();
        of.rule.enabled = false;
        of.rule.notify = vec![String::from("mail"), String::from("chat")];
        let done = replayed(&of, &[30.0; 5]);
        assert_eq!(done.notices.values().sum::<u64>(), 1, "{done:?}");
    }

    proptest! {
        #[test]
        fn what_ended_fired_before(values in prop::collection::vec(0.0f64..30.0, 0..200)) {
            let done = replayed(&rule(), &values);
            for tally in done.instances.values() {
                prop_assert!(tally.resolves <= tally.firings && tally.firings <= tally.resolves + 1);
                prop_assert!(tally.firing <= Duration::from_secs(60 * values.len() as u64));
            }
            prop_assert!(done.episodes.len() <= MOST_EPISODES);
        }
    }
}
