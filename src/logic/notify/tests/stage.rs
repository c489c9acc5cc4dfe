//! A world around the notifier: clocks that are moved by hand, a store that takes its
//! plans, alerts with the steps of their life, and channels that take or refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::ledger::Ledger;
use crate::base::time::{Monotonic, Timestamp};
use crate::logic::notify::{
    NoticeWrite, Notifier, Now, Occurrence, Outcome, Plan, Policy, Restored, Settings, Undeliverable, Use,
};
use crate::model::alert::{Acknowledgement, Alert, AlertState, Happening};
use crate::model::notice::{Notice, NoticeKind, Telling};
use crate::model::rule::Parent;
use crate::model::selector::{MatchOp, Matcher};
use crate::model::severity::Severity;
use crate::model::silence::Silence;

/// A Wednesday, 12:00 UTC.
pub const START: Timestamp = Timestamp(1_795_003_200_000 + 2 * 86_400_000);

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn minutes(minutes: u64) -> Duration {
    secs(60 * minutes)
}

/// What would be in the file.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub rows: BTreeMap<String, Notice>,
    pub log: Vec<Notice>,
    pub tellings: BTreeMap<String, Telling>,
}

pub struct Stage {
    pub settings: Settings,
    pub notifier: Notifier,
    pub stored: Stored,
    pub alerts: BTreeMap<String, Alert>,
    pub policies: BTreeMap<String, Arc<Policy>>,
    pub silences: Vec<Silence>,
    pub undeliverable: Vec<Undeliverable>,
    pub now: Now,
    /// Channels that fail, and those that take nothing.
    pub down: BTreeSet<String>,
    pub refusing: BTreeSet<String>,
    /// The next delivery arrives, and the process ends before it is reported.
    pub cut_off: bool,
    /// So many of the next commits fail.
    pub failing_commits: u32,
    /// Time that really passed.
    pub elapsed: Duration,
    pub ledger: super::ledger::Ledger,
    /// What was delivered: when, and the row.
    pub sent: Vec<(Timestamp, Notice)>,
    /// News that are told together.
    pub batch: Option<Vec<(Alert, Option<Happening>)>>,
}

pub fn settings(channels: &[&str]) -> Settings {
    let channels =
        channels.iter().map(|name| ((*name).to_owned(), Use { enabled: true, resolves: true })).collect();
    Settings { channels, ..Settings::default() }
}

impl Stage {
    pub fn new(settings: Settings) -> Self {
        Self::at(settings, START)
    }

    pub fn at(settings: Settings, start: Timestamp) -> Self {
        let now = Now { wall: start, mono: Monotonic(secs(1000)) };
        let notifier = Notifier::restore(settings.clone(), Restored::default(), [], now);
        Self {
            settings,
            notifier,
            stored: Stored::default(),
            alerts: BTreeMap::new(),
            policies: BTreeMap::new(),
            silences: Vec::new(),
            undeliverable: Vec::new(),
            now,
            down: BTreeSet::new(),
            refusing: BTreeSet::new(),
            cut_off: false,
            failing_commits: 0,
            elapsed: Duration::ZERO,
            ledger: super::ledger::Ledger::default(),
            sent: Vec::new(),
            batch: None,
        }
    }

    pub fn commit(&mut self) {
        let plan = self.notifier.take();
        if self.failing_commits > 0 && !plan.is_empty() {
            self.failing_commits -= 1;
            self.ledger.late = true;
            self.notifier.not_committed(plan);
            return;
        }
        let few = self.stored.rows.len() <= super::ledger::MOST_ROWS;
        let before = few.then(|| self.stored.rows.clone());
        self.write(&plan);
        if let Some(before) = before.filter(|_| self.stored.rows.len() <= super::ledger::MOST_ROWS) {
            Ledger::check(self, &before, &plan);
        }
        self.undeliverable.extend(plan.undeliverable);
    }

    fn write(&mut self, plan: &Plan) {
        for write in plan.writes.iter().cloned() {
            match write {
                NoticeWrite::Put(notice) => drop(self.stored.rows.insert(notice.id.clone(), notice)),
                NoticeWrite::Delete { id } => drop(self.stored.rows.remove(&id)),
                NoticeWrite::Log(notice) => self.stored.log.push(notice),
                NoticeWrite::PutTelling(telling) => {
                    drop(self.stored.tellings.insert(telling.alert.clone(), telling));
                }
                NoticeWrite::DeleteTelling { alert } => drop(self.stored.tellings.remove(&alert)),
            }
        }
    }

    pub fn policy(&mut self, rule: &str, policy: Policy) {
        self.policies.insert(rule.to_owned(), Arc::new(policy));
    }

    /// Something happens to the alert `id` of `rule`; the first time makes it.
    pub fn happen(&mut self, id: &str, rule: &str, labels: &str, severity: Severity, what: Happening) {
        let wall = self.now.wall;
        let alert = self.alerts.entry(id.to_owned()).or_insert_with(|| alert(id, rule, labels, wall));
        alert.severity = severity;
        alert.peak = alert.peak.max(severity);
        let before = alert.state;
        alert.state = match what {
            Happening::Pending => AlertState::Pending,
            Happening::Fired | Happening::Relapsed => AlertState::Firing,
            Happening::Recovering => AlertState::Recovering,
            Happening::Resolved | Happening::ResolvedByHand | Happening::Expired => AlertState::Resolved,
            Happening::Nodata => AlertState::Nodata,
            _ => before,
        };
        match what {
            Happening::Fired => alert.fired_at = Some(wall),
            Happening::Resolved | Happening::ResolvedByHand | Happening::Expired => {
                alert.resolved_at = Some(wall);
            }
            Happening::FlappingStarted => alert.flapping = true,
            Happening::FlappingEnded => alert.flapping = false,
            Happening::Rearmed => alert.acknowledged = None,
            Happening::Acknowledged => {
                alert.acknowledged = Some(Acknowledgement {
                    by: String::from("op"),
                    at: wall,
                    comment: String::new(),
                    until: None,
                    value: None,
                    severity,
                });
            }
            _ => {}
        }
        alert.note(wall, what, None, None);
        self.ledger.note(id, what, self.elapsed);
        let alert = alert.clone();
        self.news(alert, Some(what));
    }

    fn news(&mut self, alert: Alert, what: Option<Happening>) {
        if let Some(batch) = &mut self.batch {
            batch.push((alert, what));
            return;
        }
        self.apply(&[(alert, what)]);
    }

    fn apply(&mut self, news: &[(Alert, Option<Happening>)]) {
        for (alert, _) in news {
            self.policies.entry(alert.rule.clone()).or_default();
        }
        let policies = &self.policies;
        let mut occurrences = Vec::new();
        for (alert, what) in news {
            occurrences.push(Occurrence { alert, policy: &policies[&alert.rule], what: *what });
        }
        self.notifier.apply(&occurrences, self.now);
        self.notifier.tick(self.now);
        self.commit();
    }

    /// What happens in `scene` is one step of the life cycle.
    pub fn at_once(&mut self, scene: impl FnOnce(&mut Self)) {
        self.batch = Some(Vec::new());
        scene(self);
        let batch = self.batch.take().unwrap();
        self.apply(&batch);
    }

    /// An alert that nothing happened to yet.
    pub fn begin(&mut self, id: &str, rule: &str, labels: &str, change: impl FnOnce(&mut Alert)) {
        let mut alert = alert(id, rule, labels, self.now.wall);
        change(&mut alert);
        self.alerts.insert(id.to_owned(), alert);
    }

    /// Fields of an alert change, and nothing happens to it.
    pub fn touch(&mut self, id: &str, change: impl FnOnce(&mut Alert)) {
        let alert = self.alerts.get_mut(id).unwrap();
        change(alert);
        let alert = alert.clone();
        self.news(alert, None);
    }

    /// The same for an alert that is there.
    pub fn then(&mut self, id: &str, what: Happening) {
        let severity = self.alerts[id].severity;
        self.happen(id, "", "", severity, what);
    }

    pub fn fire(&mut self, id: &str, rule: &str, labels: &str, severity: Severity) {
        self.happen(id, rule, labels, severity, Happening::Fired);
    }

    pub fn silence(&mut self, id: &str, matcher: (&str, MatchOp, &str), lasts: Duration) {
        let (label, op, value) = matcher;
        self.silences.push(Silence {
            id: id.to_owned(),
            matchers: vec![Matcher { label: label.to_owned(), op, value: value.to_owned() }],
            starts_at: self.now.wall,
            ends_at: self.now.wall.plus(lasts),
            created_by: String::new(),
            comment: String::new(),
            maintenance: false,
            updated_at: self.now.wall,
        });
        self.notifier.set_silences(self.silences.clone(), self.now);
    }

    /// What is due is done and sent.
    pub fn turn(&mut self) {
        self.notifier.tick(self.now);
        self.commit();
        for channel in self.settings.channels.keys().cloned().collect::<Vec<_>>() {
            for notice in self.notifier.due(&channel, self.now, 20_000) {
                // Only a wait for a breaker is not stored.
                let stored = self.stored.rows.get(&notice.id).map(|row| &row.alerts);
                assert_eq!(stored, Some(&notice.alerts), "sent before it was stored");
                let cut_off = std::mem::take(&mut self.cut_off);
                self.answer(&channel, notice, cut_off);
                if cut_off {
                    return self.restart();
                }
                self.commit();
            }
        }
    }

    fn answer(&mut self, channel: &str, notice: Notice, cut_off: bool) {
        let took = Duration::from_millis(5);
        let id = notice.id.clone();
        let outcome = if self.refusing.contains(channel) {
            Outcome::Refused { answer: String::from("410 Gone"), took }
        } else if self.down.contains(channel) {
            Outcome::Failed { answer: String::from("refused"), took, retry_after: None }
        } else {
            if !cut_off {
                self.ledger.heard(&notice);
            }
            self.sent.push((self.now.wall, notice));
            Outcome::Delivered { answer: String::from("200"), took }
        };
        if !cut_off {
            self.notifier.report(&id, outcome, self.now, 1.0);
        }
    }

    /// Lets time pass, as fast as nothing is due.
    pub fn pass(&mut self, time: Duration) {
        let end = self.elapsed + time;
        while self.elapsed < end {
            let next = self.notifier.next().since(self.now.wall);
            self.wait(next.max(secs(1)).min(end - self.elapsed));
            self.turn();
        }
    }

    /// Time passes, and nobody looks.
    pub fn wait(&mut self, time: Duration) {
        self.now.wall = self.now.wall.plus(time);
        self.now.mono = Monotonic(self.now.mono.0 + time);
        self.elapsed += time;
    }

    pub fn jump(&mut self, millis: i64) {
        self.now.wall = Timestamp(self.now.wall.millis() + millis);
    }

    /// The process ends and starts again.
    pub fn restart(&mut self) {
        if self.ledger.late {
            // What was not stored, the alerts would not know either.
            self.failing_commits = 0;
            self.commit();
        }
        self.now.mono = Monotonic::default();
        self.ledger.restarted = true;
        let restored = Restored {
            rows: self.stored.rows.values().cloned().collect(),
            tellings: self.stored.tellings.values().cloned().collect(),
            silences: self.silences.clone(),
        };
        let alerts: Vec<(&Alert, &Arc<Policy>)> =
            self.alerts.values().map(|alert| (alert, &self.policies[&alert.rule])).collect();
        self.notifier = Notifier::restore(self.settings.clone(), restored, alerts, self.now);
    }

    /// What was sent: channel, kind and the ids of the alerts.
    pub fn heard(&self) -> Vec<String> {
        let line = |notice: &Notice| {
            let ids: Vec<&str> = notice.alerts.iter().map(|alert| alert.id.as_str()).collect();
            format!("{} {} {}", notice.channel, notice.kind.word(), ids.join(","))
        };
        self.sent.iter().map(|(_, notice)| line(notice)).collect()
    }

    pub fn last_sent(&self) -> &Notice {
        &self.sent.last().unwrap().1
    }

    pub fn kinds(&self) -> Vec<NoticeKind> {
        self.sent.iter().map(|(_, notice)| notice.kind).collect()
    }
}

pub fn labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
    pairs.map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

fn alert(id: &str, rule: &str, text: &str, now: Timestamp) -> Alert {
    let mut labels = labels(text);
    labels.insert(String::from("alertname"), rule.to_owned());
    Alert {
        id: id.to_owned(),
        key: text.to_owned(),
        rule: rule.to_owned(),
        labels,
        title: format!("{rule} {text}"),
        since: now,
        started_at: now,
        updated_at: now,
        severity: Severity::Info,
        peak: Severity::Info,
        ..Alert::default()
    }
}

pub fn child_of(rule: &str, settle: Duration, lookback: Duration) -> Policy {
    let parent = Parent { rule: rule.to_owned(), on: Vec::new() };
    Policy { depends_on: vec![parent], settle, lookback, ..Policy::default() }
}
